"""E-mail by SMTP (RFC 5321), with STARTTLS or TLS and sign-in where the server wants them."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from callcenter.config import Mail
from callcenter.crm.messages.ports import Outgoing
from callcenter.errors import MessageError, MessageRefused

TIMEOUT = 15.0


class SmtpMessenger:
    """A connection for each message: they are few, and a server may end idle ones."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    def send(self, message: Outgoing) -> None:
        """See Messenger."""
        try:
            with self._connect() as server:
                server.send_message(self._email(message))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            if all(code >= 500 for code in codes):
                raise MessageRefused("the mail server takes no mail for that address") from error
            raise MessageError("the mail server takes mail for that address later") from error
        except smtplib.SMTPResponseException as error:
            if isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500:
                raise MessageRefused("the mail server refused the message") from error
            raise MessageError(f"the mail server answered {error.smtp_code}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MessageError(
                f"no way to the mail server: {type(error).__name__}; see messages.mail"
            ) from error

    def _connect(self) -> smtplib.SMTP:
        mail = self._mail
        if mail.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                mail.host, mail.port, timeout=TIMEOUT, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT)
        try:
            if mail.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if mail.username:
                server.login(mail.username, mail.secret())
        except BaseException:
            server.close()
            raise
        return server

    def _email(self, message: Outgoing) -> EmailMessage:
        email = EmailMessage()
        email["From"] = self._mail.sender
        email["To"] = message.to
        email["Subject"] = message.subject
        email["Date"] = formatdate()
        domain = self._mail.sender.rpartition("@")[2].strip("> ")
        email["Message-ID"] = f"<{message.id}@{domain}>"
        email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        email["Content-Language"] = message.language
        email.set_content(message.body)
        return email
