"""The floor: queues and agents as telephony sees them, with the names that the CRM knows."""

from __future__ import annotations

from typing import Any

from callcenter.crm.users import queries as users
from callcenter.errors import CallcenterError
from callcenter.events import DescribeFloor, DescribeHealth
from callcenter.web import nodes
from callcenter.web.context import Services
from callcenter.web.permissions import Permission, scope_of

Floor = dict[str, Any]
NOTHING: Floor = {"queues": [], "agents": [], "calls": []}


def ask(parts: Services, *, timeout: float = 2.0) -> Floor:
    """The floor now; empty while telephony does not answer."""
    try:
        answers = nodes.ask_all(parts, DescribeFloor(), timeout=timeout)
    except CallcenterError:
        return NOTHING
    return merged(answers)


def merged(answers: list[dict[str, Any]]) -> Floor:
    """Nodes share agents and queues; each knows its own calls, and the sound that it has."""
    first, *others = answers
    agents = {agent["agent"]: dict(agent) for answer in others for agent in answer["agents"]}
    for agent in first.get("agents", []):
        also = agents.get(agent["agent"], {})
        agents[agent["agent"]] = {**agent, "audio": _either(agent, also)}
    calls = [call for answer in answers for call in answer.get("calls", [])]
    return {**NOTHING, **first, "agents": list(agents.values()), "calls": calls}


def _either(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one.get("audio") or other.get("audio"))


def queues(parts: Services, floor: Floor) -> list[dict[str, Any]]:
    """Every queue of the settings, whether telephony answers or not."""
    known = {queue["name"]: queue for queue in floor["queues"]}
    return [_queue(queue.name, known.get(queue.name, {})) for queue in parts.settings.queues]


def _queue(name: str, now: dict[str, Any]) -> dict[str, Any]:
    longest = now.get("longest_wait_seconds", 0.0)
    return {
        "name": name,
        "waiting": now.get("waiting", 0),
        "longest_wait_seconds": longest,
        "longest_seconds": longest,
        "available": now.get("available", 0),
        "agents": now.get("agents", 0),
    }


def agents(parts: Services, floor: Floor) -> list[dict[str, Any]]:
    """Everybody who may take calls; those whom telephony does not know are offline."""
    seated = {agent["agent"]: agent for agent in floor["agents"]}
    with parts.reading() as session:
        everybody = users.everybody(session)
    return [
        _agent(user.id, user.username, user.name, seated.get(user.id, {}))
        for user in everybody
        if user.id in seated or scope_of(user.role, Permission.CALLS_TAKE)
    ]


def agent_view(parts: Services, now: dict[str, Any]) -> dict[str, Any]:
    """One agent as telephony answered, with the names added."""
    with parts.reading() as session:
        user = users.by_id(session, now["agent"])
    username, name = (user.username, user.name) if user else ("", "")
    return _agent(now["agent"], username, name, now)


def _agent(id_: str, username: str, name: str, now: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id_,
        "agent": id_,
        "username": username,
        "name": name,
        "state": now.get("state", "offline"),
        "reason": now.get("reason"),
        "since": now.get("since"),
        "until": now.get("until"),
        "call": now.get("call"),
        "next": now.get("next"),
        "audio": now.get("audio", False),
        "device": now.get("device", "browser"),
        "phone": now.get("phone"),
    }


def phones(parts: Services) -> list[dict[str, Any]]:
    """Every desk phone of the settings; none is registered while telephony does not answer."""
    try:
        health = parts.bus.request("telephony", DescribeHealth(), timeout=2.0)
    except CallcenterError:
        health = {}
    known = health.get("sip", {}).get("phones", {})
    nowhere = {"places": [], "seconds": 0}
    return [
        {"extension": phone.extension, "user": phone.user, **known.get(phone.extension, nowhere)}
        for phone in parts.settings.sip.phones
    ]
