"""The composition root: the only module that knows every part and wires ports to adapters.

One function per process. Imports stand inside the functions, so that each process loads only
what it is made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from callcenter.config import Settings
from callcenter.errors import BackupError, ConfigError, TelephonyError

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from sqlalchemy import Engine

    from callcenter.backups.making import Made, Places, Progress
    from callcenter.backups.restoring import Restored
    from callcenter.config import Sip
    from callcenter.crm.erasures.eraser import Eraser
    from callcenter.crm.messages.models import Channel
    from callcenter.crm.messages.ports import Messenger
    from callcenter.crm.retention.operations import Retention
    from callcenter.crm.trust.verify import Report
    from callcenter.crm.vault.master import MasterKeys
    from callcenter.telephony.ports import Dialler, Phones, SipBackend, Sound

DRAIN_SECONDS = 8.0


def _node(settings: Settings) -> str:
    """The name under which a process finds what it left open when it was killed.

    One system in one data directory is one node, also in a container with a new host name.
    """
    import platform

    return settings.node or ("local" if settings.bus_url == "local" else platform.node())


def open_records(settings: Settings) -> Engine:
    """The database, with the keys that chain what is kept in it. Raises ConfigError."""
    from callcenter.crm.chains.keys import ring
    from callcenter.crm.chains.operations import use_keys
    from callcenter.crm.vault.operations import use_master
    from callcenter.database import open_database

    keys = ring(settings.keys_dir, settings.trust.key_file)
    keys.known  # noqa: B018 - what is wrong with them is said at the start
    master = master_keys(settings)
    master.load()
    engine = open_database(settings.database_url)
    use_keys(engine, keys)
    use_master(engine, master)
    return engine


def master_keys(settings: Settings) -> MasterKeys:
    """Where the master keys are, as the settings say."""
    from callcenter.crm.vault.master import FILE, MasterFile, MasterSecret

    secret, file = settings.keys.master, settings.keys.master_file
    if secret is not None and file is not None:
        raise ConfigError(["keys.master and keys.master_file: found both, allowed: one of them"])
    if secret is not None:
        return MasterSecret(secret.get_secret_value)
    return MasterFile(file or settings.keys_dir / FILE, make=file is None)


def _sip(
    sip: Sip, engine: Engine, node: str, *, neighbours: bool
) -> tuple[SipBackend, Dialler | None, Phones | None]:
    """Who speaks SIP, as `sip.backend` says, who places calls and who rings desk phones: with
    pyVoIP nobody does."""
    if sip.backend == "pyvoip":
        from callcenter.telephony.adapters.sip_pyvoip import PyVoipSipBackend

        return PyVoipSipBackend(sip), None, None
    from callcenter.telephony.adapters.sip_native import NativeSipBackend
    from callcenter.telephony.places import PlaceStore

    native = NativeSipBackend(sip, PlaceStore(engine, node), neighbours=neighbours)
    return native, native, native.phones


def run_telephony(settings: Settings) -> None:
    """SIP, RTP, WebRTC, queues, the recording journal; returns after SIGTERM and drain."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_telephony(settings))


def _questions(settings: Settings) -> dict[str, Sound]:
    """The announcements for `record: ask`. Raises ConfigError."""
    from callcenter.telephony.media import tones

    found: dict[str, Sound] = {}
    for language, file in settings.recording.announcements.items():
        try:
            found[language] = tones.question(file.read_bytes())
        except (OSError, TelephonyError) as error:
            problem = error.detail if isinstance(error, TelephonyError) else error.strerror
            raise ConfigError([f"recording.announcements.{language}: {file}: {problem}"]) from error
    return found


def _prompts(settings: Settings) -> dict[str, dict[str, Sound]]:
    """What callers of service lines hear, by language. Raises ConfigError."""
    from callcenter.telephony.adapters import prompt_files

    served = [line for line in settings.lines if line.service]
    languages = [line.language or settings.site.default_language for line in served]
    return prompt_files.load(settings.data_dir / "prompts", languages)


async def _telephony(settings: Settings) -> None:
    import asyncio
    import gc
    import signal
    from functools import partial

    from callcenter.buses import open_bus
    from callcenter.crm.complaints.hotline import Hotline
    from callcenter.database import open_database
    from callcenter.log import EventLog
    from callcenter.telephony.adapters import prompt_files
    from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
    from callcenter.telephony.adapters.recordings import DiskRecordings
    from callcenter.telephony.adapters.speech_socket import SpeechSocket
    from callcenter.telephony.adapters.webrtc import BrowserLegs
    from callcenter.telephony.desk import Sounds
    from callcenter.telephony.media import tones
    from callcenter.telephony.service import Parts, TelephonyService

    node = _node(settings)
    bus = open_bus(settings.bus_url, settings.run_dir)
    media = BatchingMediaPlane(settings.sip.rtp_ports)
    audio = BrowserLegs(media, settings.browser.codecs)
    speech = SpeechSocket(settings.run_dir, workers=settings.speech.workers)
    engine = open_database(settings.database_url)
    alone = settings.bus_url == "local"
    sip, dialler, phones = _sip(settings.sip, engine, node, neighbours=not alone)
    parts = Parts(
        sip=sip,
        dialler=dialler,
        phones=phones,
        media=media,
        audio=audio,
        recordings=DiskRecordings(
            settings.recordings_dir, format=settings.recording.format, node=node
        ),
        speech=speech,
        sounds=Sounds(
            ringback=tones.ringback(),
            music=tones.hold_music(),
            announcements=_questions(settings),
            prompts=_prompts(settings),
            receipt=partial(prompt_files.receipt, settings.data_dir / "prompts"),
        ),
        statuses=Hotline(engine),
    )
    log = EventLog(engine)
    shared = None if alone else engine
    service = TelephonyService(settings, log, bus, parts, node=node, shared=shared)

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await service.start()
    gc.freeze()  # what lives as long as the process need not be looked at between two packets
    deposed = await _told_to_stop(stopping, service.deposed)
    await service.stop(0.0 if deposed else DRAIN_SECONDS)
    await audio.stop()
    media.close()
    speech.close()
    bus.close()
    if deposed:  # whoever watches over this process starts it anew
        sys.exit(1)


async def _told_to_stop(stopping: asyncio.Event, deposed: asyncio.Event | None) -> bool:
    """Waits for a signal, or for the other nodes to take this one for dead: True."""
    import asyncio

    waits = [asyncio.create_task(event.wait()) for event in (stopping, deposed) if event]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return deposed is not None and deposed.is_set()


def run_speech(settings: Settings, index: int = 0) -> None:
    """Live captions and the second pass; returns after SIGTERM."""
    import contextlib
    import os
    from functools import partial

    from callcenter import migrations, process
    from callcenter.buses import open_bus
    from callcenter.crm.interactions.call_keys import KeysOfCalls
    from callcenter.log import EventLog
    from callcenter.redaction.finding import Rules
    from callcenter.telephony.adapters import sealed_sound
    from callcenter.telephony.adapters.speech_socket import SpeechListener, socket_path
    from callcenter.telephony.adapters.vosk_engine import VoskEngine
    from callcenter.telephony.adapters.whisper_engine import WhisperEngine, WhisperTranscriber
    from callcenter.telephony.speech.roster import Roster
    from callcenter.telephony.speech.scribe import Scribe
    from callcenter.telephony.speech.second_pass import SecondPass
    from callcenter.telephony.speech.tasks import Tasks
    from callcenter.telephony.speech.worker import Lanes, Live, SpeechWorker

    stop = process.stop_event()
    with contextlib.suppress(OSError):
        os.nice(5)  # captions never take the CPU from the sound
    cores = os.cpu_count() or 1
    node = f"{_node(settings)}:{index}"
    engine = open_records(settings)
    migrations.upgrade(engine)
    bus = open_bus(settings.bus_url, settings.run_dir)
    log = EventLog(engine)
    keys = KeysOfCalls(engine)
    lanes = Lanes(vosk=cores)
    roster = Roster(
        settings.speech.live,
        settings.speech.models_dir,
        {
            "vosk": VoskEngine,
            "whisper": lambda model: WhisperEngine(model, may_preview=lambda: lanes.idle),
        },
        WhisperTranscriber,
    )
    scribe = Scribe(log, bus)
    rules = Rules.of(settings.redaction)
    live = Live(roster, lanes, scribe, max_legs=settings.speech.max_legs or 4 * cores, rules=rules)
    tasks = Tasks(engine, node)
    worker = SpeechWorker(
        node=node,
        engine=engine,
        bus=bus,
        live=live,
        roster=roster,
        tasks=tasks,
        passes=lambda breathe: SecondPass(
            tasks=tasks,
            log=log,
            recordings_dir=settings.recordings_dir,
            transcriber=roster.transcriber,
            read_sound=partial(sealed_sound.read_sound, keys=keys),
            rules=rules,
            breathe=breathe,
            default_language=settings.site.default_language,
        ),
        always=settings.speech.second_pass != "off",  # noqa: S105
    )
    scribe.start()
    listener = SpeechListener(socket_path(settings.run_dir, index), live.desk)
    worker.start()
    stop.wait()
    listener.close()
    worker.stop()
    lanes.stop(5.0)
    scribe.stop()
    bus.close()


def run_web(settings: Settings) -> None:
    """Pages, API and sockets; returns after SIGTERM. Raises StartError."""

    from callcenter import migrations
    from callcenter.buses import open_bus
    from callcenter.events import ServiceStarted
    from callcenter.web.app import Runtime, create_app, join_sockets
    from callcenter.web.leaked import LeakedPasswords
    from callcenter.web.server import serve

    def make() -> Runtime:
        """In gunicorn's worker, after the fork: threads and connections begin here."""
        engine = open_records(settings)
        migrations.upgrade(engine)
        eraser_of(settings, engine).obey()
        bus = open_bus(settings.bus_url, settings.run_dir)
        runtime = join_sockets(create_app(settings, engine, bus))
        bus.publish(ServiceStarted(service="web", node=_node(settings)))
        return runtime

    if leaked := LeakedPasswords.of(settings):
        leaked.check()
    open_records(settings).dispose()  # a key that cannot be read is told before the fork
    serve(settings, make)


def run_jobs(settings: Settings) -> None:
    """Sealing recordings and other work that may take long; returns after SIGTERM."""
    import contextlib
    import os

    import structlog

    from callcenter import jobs, process
    from callcenter.buses import open_bus
    from callcenter.crm.complaints.clocks import rules_of
    from callcenter.crm.complaints.watch import Watch
    from callcenter.crm.exports.making import Exporter
    from callcenter.crm.interactions.call_keys import KeysOfCalls
    from callcenter.crm.messages.postman import Postman
    from callcenter.crm.quality.sampling import Sampler
    from callcenter.crm.quality.weeks import weeks_of
    from callcenter.crm.review.measuring import Measurer
    from callcenter.crm.trust.heads import DailyHeads
    from callcenter.telephony.adapters.export_files import DiskExports
    from callcenter.telephony.adapters.recordings import DiskRecordings

    stop = process.stop_event()
    with contextlib.suppress(OSError):
        os.nice(10)  # encoding never takes the CPU from the sound
    if settings.recording.encrypt and not settings.encrypts:
        structlog.get_logger().warning(
            "recordings are not encrypted: several machines need one key, set keys.master_file"
        )
    engine = open_records(settings)
    bus = open_bus(settings.bus_url, settings.run_dir)
    recordings = DiskRecordings(
        settings.recordings_dir,
        format=settings.recording.format,
        node=_node(settings),
        keys=KeysOfCalls(engine),
        encrypted=settings.encrypts,
    )
    rules = rules_of(settings)
    retention = retention_of(settings, engine)
    rounds = [
        Watch(engine, bus, rules).round,
        Postman(engine, messengers(settings)).round,
        DailyHeads(engine, settings.heads_dir, settings.site.timezone).round,
        Measurer(engine, recordings.levels).round,
        retention.round,
        Sampler(engine, weeks_of(rules.calendar)).round,
    ]
    exports = DiskExports(settings.recordings_dir, settings.exports_dir, KeysOfCalls(engine))
    eraser = eraser_of(settings, engine)
    eraser.obey()
    slow = [Exporter(engine, exports, encrypted=settings.encrypts).round, eraser.round]
    jobs.run(settings, engine, bus, recordings, stop, rounds, slow, [retention.overdue])
    bus.close()


def messengers(settings: Settings) -> dict[Channel, Messenger]:
    """The ways to customers that are switched on."""
    from callcenter.messengers.folder import Folder
    from callcenter.messengers.sms_gateway import SmsGateway
    from callcenter.messengers.smtp import SmtpMessenger

    mail, sms = settings.messages.mail, settings.messages.sms
    ways: dict[Channel, Messenger] = {}
    if mail.via != "off":
        ways["mail"] = (
            SmtpMessenger(mail) if mail.via == "smtp" else Folder(settings.data_dir / "messages")
        )
    if sms.via != "off":
        ways["sms"] = (
            SmsGateway(sms) if sms.via == "http" else Folder(settings.data_dir / "messages")
        )
    return ways


def retention_of(settings: Settings, engine: Engine) -> Retention:
    """What marks and shreds what is too old, as the settings say."""
    from callcenter.crm.retention.kinds import Rules
    from callcenter.crm.retention.operations import Retention
    from callcenter.telephony.adapters.recordings import DiskRecordings

    own = settings.retention
    rules = Rules(
        recordings=own.recordings_days,
        queues=own.queues,
        transcripts=own.transcripts_days,
        complaints=own.complaints_days,
        messages=own.messages_days,
        audit=own.audit_days,
        shred_after=own.shred_after_days,
    )
    files = DiskRecordings(settings.recordings_dir)
    return Retention(engine, rules, files.remove, settings.site.timezone)


def eraser_of(settings: Settings, engine: Engine) -> Eraser:
    """What erases customers, here and on these disks."""
    from callcenter.crm.erasures.eraser import Eraser
    from callcenter.crm.erasures.tombstones import FILE, Tombstones
    from callcenter.crm.interactions.call_keys import KeysOfCalls
    from callcenter.telephony.adapters.export_files import DiskExports, ErasedFiles
    from callcenter.telephony.adapters.recordings import DiskRecordings
    from callcenter.telephony.speech.tasks import Erased

    exports = DiskExports(settings.recordings_dir, settings.exports_dir, KeysOfCalls(engine))
    files = ErasedFiles(DiskRecordings(settings.recordings_dir), exports)
    return Eraser(engine, files, Erased(), Tombstones(settings.heads_dir / FILE))


def chain_old_rows(engine: Engine) -> None:
    """Link what was kept before there were chains; later nothing happens."""
    from callcenter.crm.chains.operations import begin
    from callcenter.crm.trust import CHAINS

    begin(engine, *CHAINS)


def verify_recordings(
    settings: Settings, heads_file: Path | None, progress: Callable[[str, int, int], None]
) -> Report:
    """What `callcenter recordings verify` finds. Raises Invalid, RecordingError, ConfigError."""
    from callcenter.crm.trust.heads import FILE
    from callcenter.crm.trust.verify import verify
    from callcenter.telephony.adapters.recordings import DiskRecordings

    usual = settings.heads_dir / FILE
    file = heads_file or (usual if usual.exists() else None)
    engine = open_records(settings)
    try:
        return verify(engine, DiskRecordings(settings.recordings_dir), file, progress)
    finally:
        engine.dispose()


def make_backup(settings: Settings, target: Path, keys: Path | None, progress: Progress) -> Made:
    """What `callcenter backup` does. Raises BackupError, ConfigError."""
    from sqlalchemy.orm import Session

    from callcenter import migrations
    from callcenter.backups.making import make
    from callcenter.crm.audit import operations as audit

    engine = open_records(settings)
    try:
        shape = migrations.current(engine)
        if shape is None:
            raise BackupError("there are no records yet: nothing to back up")
        with Session(engine) as session, session.begin():
            audit.record(session, None, "backup", "database")
    finally:
        engine.dispose()
    return make(_places(settings), shape, target, keys, progress)


def restore_backup(
    settings: Settings,
    source: Path,
    keys: Path | None,
    progress: Progress,
    *,
    without_keys: bool,
) -> tuple[Restored, dict[str, int]]:
    """What `callcenter restore` does: the records, then the database's newest shape.

    Also how many keys hang at each master key that is not here.
    Raises BackupError, ConfigError, StartError.
    """
    from sqlalchemy.orm import Session

    from callcenter import migrations
    from callcenter.backups.restoring import restore
    from callcenter.crm.audit import operations as audit
    from callcenter.crm.vault.operations import counts

    places = _places(settings)
    done = restore(places, source, keys, progress, without_keys=without_keys)
    engine = open_records(settings)
    try:
        migrations.upgrade(engine)
        chain_old_rows(engine)
        eraser_of(settings, engine).obey()
        with Session(engine) as session, session.begin():
            audit.record(session, None, "restore", "database", reason=done.description.made)
            held = counts(session)
    finally:
        engine.dispose()
    known = master_keys(settings).load()
    missing = {name: count for name, count in held.items() if name not in known}
    return done, missing


def keys_elsewhere(settings: Settings) -> list[str]:
    """Settings that name secrets outside of `data_dir`: no backup of ours holds those."""
    named = {
        "keys.master": settings.keys.master,
        "keys.master_file": settings.keys.master_file,
        "trust.key_file": settings.trust.key_file,
        "sign_in.key_file": settings.sign_in.key_file,
    }
    return [name for name, value in named.items() if value is not None]


def _places(settings: Settings) -> Places:
    from callcenter.backups.dumps import dump_of
    from callcenter.backups.making import Places

    return Places(
        dump=dump_of(settings.database_url),
        recordings=settings.recordings_dir,
        heads=settings.heads_dir,
        prompts=settings.data_dir / "prompts",
        keys=settings.keys_dir,
        tls=settings.data_dir / "tls",
    )


def fetch_models(
    settings: Settings, language: str, progress: Callable[[int, int, str], None] | None = None
) -> list[str]:
    """What `callcenter models fetch` does; the names of the models that serve `language` now.

    Raises SpeechError with the sentence to print.
    """
    from callcenter.telephony.adapters import models_fetch

    found = models_fetch.fetch(language, settings.speech.models_dir, progress)
    return [model.name for model in found]


def list_models(settings: Settings) -> dict[str, list[str]]:
    """Language → names of the models on this machine that serve it."""
    from callcenter.telephony.adapters import models_fetch

    models = models_fetch.available(settings.speech.models_dir)
    return {
        language: [model.name for model in models if model.serves(language)]
        for language in settings.speech.live
    }
