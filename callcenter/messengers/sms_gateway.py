"""Text messages by the HTTP gateway of a provider: one request a message, as the settings say."""

from __future__ import annotations

import httpx

from callcenter.config import Sms
from callcenter.crm.messages.ports import Outgoing
from callcenter.errors import MessageError, MessageRefused

TIMEOUT = 15.0
_AGAIN = (408, 425, 429)  # of the answers 4xx: worth another attempt


class SmsGateway:
    """Any provider that takes number and text in a POST of JSON or a form, or in a query."""

    def __init__(self, sms: Sms) -> None:
        self._sms = sms

    def send(self, message: Outgoing) -> None:
        """See Messenger. Idempotency-Key lets a gateway that knows it drop a second copy."""
        try:
            answer = self._ask(message)
        except httpx.HTTPError as error:
            raise MessageError(
                f"no way to the SMS gateway: {type(error).__name__}; see messages.sms"
            ) from error
        if answer.is_success:
            return
        refused = 400 <= answer.status_code < 500 and answer.status_code not in _AGAIN
        detail = f"the SMS gateway answered {answer.status_code}"
        raise (MessageRefused if refused else MessageError)(detail)

    def _ask(self, message: Outgoing) -> httpx.Response:
        sms = self._sms
        fields = {**(sms.extra or {}), sms.to_field: message.to, sms.text_field: message.body}
        headers = {"Idempotency-Key": message.id}
        if token := sms.secret():
            headers[sms.header] = token
        url = sms.url or ""
        with httpx.Client(timeout=TIMEOUT, headers=headers) as client:
            if sms.format == "query":
                return client.get(url, params=fields)
            if sms.format == "form":
                return client.post(url, data=fields)
            return client.post(url, json=fields)
