"""What a caller hears who asks for the status of a complaint: texts by language. Pure.

An operator replaces any of them by a recorded file of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping

_DIGITS = {
    "en": "zero one two three four five six seven eight nine",
    "fa": "صفر یک دو سه چهار پنج شش هفت هشت نه",
    "he": "אפס אחת שתיים שלוש ארבע חמש שש שבע שמונה תשע",
}
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "welcome": "Welcome. Here you can hear where your complaint stands.",
        "code": "Please enter your complaint code without the first letter C. For a letter, press "
        "the key on which it stands. Then press hash.",
        "number": "Please enter the last four digits of your telephone number.",
        "unknown": "We found no complaint with these details.",
        "later": "This is not possible at the moment. Please call again later.",
        "complaint": "Your complaint",
        "stage_received": "has been received.",
        "stage_acknowledged": "has been received and acknowledged.",
        "stage_assessing": "is being assessed.",
        "stage_investigating": "is being investigated.",
        "stage_responded": "has been decided. We will tell you the answer shortly.",
        "stage_communicated": "has been answered.",
        "stage_closed": "is closed.",
        "stage_appealed": "is being looked at again, as you asked.",
        "stage_reopened": "has been opened again.",
        "goodbye": "Thank you for calling. Goodbye.",
    },
    "fa": {
        "welcome": "خوش آمدید. در اینجا می‌توانید از وضعیت شکایت خود باخبر شوید.",
        "code": "لطفاً کد شکایت را بدون حرف سی اول آن وارد کنید. برای هر حرف، کلیدی را بزنید که "
        "آن حرف روی آن است. سپس کلید مربع را بزنید.",
        "number": "لطفاً چهار رقم آخر شمارهٔ تلفن خود را وارد کنید.",
        "unknown": "با این مشخصات شکایتی پیدا نشد.",
        "later": "اکنون امکان پاسخ‌گویی نیست. لطفاً بعداً دوباره تماس بگیرید.",
        "complaint": "شکایت شما به شمارهٔ",
        "stage_received": "دریافت شده است.",
        "stage_acknowledged": "دریافت و تأیید شده است.",
        "stage_assessing": "در حال ارزیابی است.",
        "stage_investigating": "در حال بررسی است.",
        "stage_responded": "تصمیم‌گیری شده است. پاسخ به‌زودی به شما اعلام می‌شود.",
        "stage_communicated": "پاسخ داده شده است.",
        "stage_closed": "بسته شده است.",
        "stage_appealed": "به درخواست شما دوباره بررسی می‌شود.",
        "stage_reopened": "دوباره باز شده است.",
        "goodbye": "از تماس شما سپاسگزاریم. خدانگهدار.",
    },
    "he": {
        "welcome": "שלום. כאן אפשר לשמוע מה מצב התלונה שלכם.",
        "code": "אנא הקישו את קוד התלונה ללא האות סי שבתחילתו. במקום אות הקישו את המקש שעליו היא "
        "מופיעה. לסיום הקישו סולמית.",
        "number": "אנא הקישו את ארבע הספרות האחרונות של מספר הטלפון שלכם.",
        "unknown": "לא נמצאה תלונה עם הפרטים האלה.",
        "later": "לא ניתן להשיב כרגע. אנא התקשרו שוב מאוחר יותר.",
        "complaint": "תלונה מספר",
        "stage_received": "התקבלה.",
        "stage_acknowledged": "התקבלה ואושרה.",
        "stage_assessing": "נמצאת בהערכה.",
        "stage_investigating": "נמצאת בבדיקה.",
        "stage_responded": "הוכרעה. התשובה תימסר לכם בקרוב.",
        "stage_communicated": "נענתה.",
        "stage_closed": "נסגרה.",
        "stage_appealed": "נבדקת מחדש לבקשתכם.",
        "stage_reopened": "נפתחה מחדש.",
        "goodbye": "תודה שהתקשרתם. להתראות.",
    },
}


def texts(language: str) -> dict[str, str]:
    """Name → words, the ten digits among them."""
    digits = {f"digit_{at}": word for at, word in enumerate(_DIGITS[language].split())}
    return {**_TEXTS[language], **digits}
