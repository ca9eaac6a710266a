"""Stores keep sessions private, survive crashes, and let one process refresh at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import keyring.backend
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, tokens
from served import served

from agentgate_oauth import AgentGateClient, FileStore, KeyringStore, MemoryStore, SessionRecord, StoreError
from agentgate_oauth._decode import reader
from agentgate_oauth.models import Tokens


class DictKeyring(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.passwords: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.passwords.get((service, username))

    def set_password(self, service, username, password):
        self.passwords[service, username] = password

    def delete_password(self, service, username):
        del self.passwords[service, username]


@pytest.fixture(params=["memory", "file", "keyring"])
def store(request, tmp_path, monkeypatch):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "file":
        return FileStore(tmp_path / "sessions")
    monkeypatch.setattr(keyring.core, "_keyring_backend", DictKeyring())
    return KeyringStore(lock_directory=tmp_path / "locks")


def fail(*_):
    raise OSError("disk full")


def record(generation: int = 1, expires_in: int = 900) -> SessionRecord:
    return SessionRecord.of(reader(Tokens)(tokens(generation, expires_in)))


def test_a_store_saves_replaces_and_deletes(store):
    first, second = record(1), record(2)
    assert store.load("k") is None
    store.save("k", first)
    assert store.load("k") == first
    store.save("k", second)
    assert store.load("k") == second and store.load("other") is None
    store.delete("k")
    store.delete("k")
    assert store.load("k") is None


def test_a_lock_has_one_holder_and_one_key(store):
    unlock = store.try_lock("k")
    assert unlock is not None
    assert store.try_lock("k") is None
    other = store.try_lock("other")
    assert other is not None
    unlock()
    again = store.try_lock("k")
    assert again is not None
    again()
    other()


def test_a_session_moves_between_clients_by_its_store(store):
    gate = FakeGate()
    one, other = (
        AgentGateClient(
            BASE_URL, "agc_1", CLIENT_SECRET, store=store, http_client=gate.client(), retry=NO_PAUSES
        )
        for _ in range(2)
    )
    one.create_session("code", key="user 42/é")
    resumed = other.resume_session("user 42/é")
    assert resumed is not None and resumed.verify(["email:send"]).allowed
    assert other.resume_session("unknown") is None


def test_several_sessions_that_share_a_store_refresh_once(store):
    gate = FakeGate()
    clients = [
        AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, store=store, http_client=gate.client())
        for _ in range(10)
    ]
    gate.expires_in = 0
    clients[0].create_session("code")
    gate.expires_in = 900
    sessions = [client.resume_session("cns_1") for client in clients]
    with ThreadPoolExecutor(10) as pool:
        decisions = list(pool.map(lambda session: session.verify(["email:send"]), sessions))
    assert all(decision.allowed for decision in decisions)
    assert gate.calls["/tokens/refresh"] == 1


def test_refreshed_tokens_are_stored_before_they_are_used(store):
    gate = FakeGate(expires_in=0)
    client = AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, store=store, http_client=gate.client())
    session = client.create_session("code")
    gate.expires_in = 900
    stored_at_verify = []

    def watch(request):
        if request.url.path.endswith("/verify"):
            stored_at_verify.append(store.load("cns_1").access_token)

    gate.intercept = watch
    session.verify(["email:send"])
    assert stored_at_verify == ["access-2"]


def test_files_are_private(tmp_path):
    store = FileStore(tmp_path / "sessions")
    store.save("k", record())
    files = list((tmp_path / "sessions").glob("*.json"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]
    assert stat.S_IMODE((tmp_path / "sessions").stat().st_mode) == 0o700
    files[0].chmod(0o644)
    with pytest.raises(StoreError, match="0600"):
        store.load("k")


def test_a_directory_others_may_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreError, match="0700"):
        FileStore(tmp_path / "open")


def test_a_failed_write_keeps_the_old_record_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    store = FileStore(tmp_path)
    store.save("k", record(1))
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StoreError, match="disk full"):
        store.save("k", record(2))
    assert store.load("k").access_token == "access-1"
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_refresh_that_could_not_be_stored_is_recovered(tmp_path, monkeypatch):
    gate = FakeGate(expires_in=0)
    store = FileStore(tmp_path)
    client = AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, store=store, http_client=gate.client())
    session = client.create_session("code")
    gate.expires_in = 900
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="disk full"):
            session.verify(["email:send"])
        assert gate.calls["/tokens/verify"] == 0
    assert session.verify(["email:send"]).allowed
    assert gate.calls["/tokens/refresh"] == 2 and not gate.family_ended


def test_a_damaged_file_is_reported_without_its_contents(tmp_path):
    store = FileStore(tmp_path)
    store.save("k", record())
    next(tmp_path.glob("*.json")).write_text('{"access_token": "secret-token"')
    with pytest.raises(StoreError) as caught:
        store.load("k")
    assert "secret" not in str(caught.value) and caught.value.__context__ is None


STORED = {
    "access_token": "secret-token",
    "refresh_token": "secret-token",
    "next_refresh_key": "key",
    "renew_after": 1.5,
    "user_id": None,
    "agent_id": "agt_1",
    "consent_id": "cns_1",
    "granted_scopes": ["email:send"],
}


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": 5},
        {"access_token": None},
        {"refresh_token": ["secret-token"]},
        {"renew_after": "soon"},
        {"renew_after": True},
        {"user_id": 7},
        {"agent_id": None},
        {"granted_scopes": "email:send"},
        {"granted_scopes": [5]},
        {"granted_scopes": None},
    ],
)
def test_a_value_of_a_wrong_type_is_a_store_error(tmp_path, change):
    store = FileStore(tmp_path)
    store.save("k", record())
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps(STORED))
    assert store.load("k").granted_scopes == ("email:send",)
    path.write_text(json.dumps({**STORED, **change}))
    with pytest.raises(StoreError, match="cannot be read") as caught:
        store.load("k")
    assert "secret" not in str(caught.value) and caught.value.__context__ is None


DAMAGED = {
    "not UTF-8": b'{"access_token": "secret-\xff',
    "zeros": bytes(500),
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"secret"',
    "deep": b"[" * 200_000,
    "a repeated name": json.dumps(STORED).encode()[:-1] + b', "agent_id": "agt_2"}',
    "without a name": b'{"access_token": "secret-token"}',
    "never fresh": json.dumps(STORED).replace("1.5", "1e999").encode(),
    "NaN": json.dumps(STORED).replace("1.5", "NaN").encode(),
    "a number of many digits": json.dumps(STORED).replace("1.5", "1" * 6000).encode(),
    "huge": b" " * 2_000_000 + json.dumps(STORED).encode(),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_every_damage_is_a_store_error(tmp_path, content):
    store = FileStore(tmp_path)
    store.save("k", record())
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        store.load("k")
    assert "secret" not in str(caught.value) and caught.value.__context__ is None
    store.delete("k")
    assert store.load("k") is None


@pytest.mark.parametrize("is_dangling", [False, True])
def test_a_symbolic_link_is_never_followed(tmp_path, is_dangling):
    store, elsewhere = FileStore(tmp_path / "sessions"), tmp_path / "elsewhere"
    store.save("k", record())
    unlock = store.try_lock("k")
    unlock()
    paths = list((tmp_path / "sessions").iterdir())
    if not is_dangling:
        next(path for path in paths if path.suffix == ".json").rename(elsewhere)
    for path in paths:
        path.unlink(missing_ok=True)
        path.symlink_to(elsewhere)
    before = None if is_dangling else elsewhere.read_bytes()
    for use in (store.load, store.try_lock, lambda key: store.save(key, record(2))):
        with pytest.raises(StoreError, match="symbolic link"):
            use("k")
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == before
    store.delete("k")
    store.save("k", record(2))
    assert store.load("k").access_token == "access-2"


def test_a_directory_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match="symbolic link"):
        FileStore(tmp_path / "link")


def test_what_is_not_a_file_or_a_directory_is_a_store_error(tmp_path):
    store = FileStore(tmp_path)
    store.save("k", record())
    (path,) = tmp_path.glob("*.json")
    for make in (os.mkfifo, os.mkdir):
        path.unlink()
        make(path, 0o600)
        with pytest.raises(StoreError):
            store.load("k")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        FileStore(tmp_path / "file")


def test_a_keyring_error_is_a_store_error(tmp_path, monkeypatch):
    class Locked(DictKeyring):
        def get_password(self, service, username):
            raise keyring.errors.KeyringLocked("no")

    monkeypatch.setattr(keyring.core, "_keyring_backend", Locked())
    with pytest.raises(StoreError, match="KeyringLocked"):
        KeyringStore(lock_directory=tmp_path / "locks").load("k")


def _hold_and_die(directory: Path, ready) -> None:
    assert FileStore(directory).try_lock("k") is not None
    ready.set()
    os._exit(9)


def test_the_lock_of_a_dead_process_does_not_last(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    process = spawn.Process(target=_hold_and_die, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    process.join()
    unlock = FileStore(tmp_path).try_lock("k")
    assert unlock is not None
    unlock()


@pytest.fixture
def served_gate() -> Iterator[tuple[FakeGate, str]]:
    """The fake AgentGate on a socket, for clients in other processes."""
    gate = FakeGate(expires_in=0)

    with served(gate) as url:
        yield gate, url


def _verify_in_process(url: str, directory: Path, barrier, results) -> None:
    client = AgentGateClient(url, "agc_1", CLIENT_SECRET, store=FileStore(directory))
    session = client.resume_session("cns_1")
    barrier.wait(30)
    results.put(session.verify(["email:send"]).allowed)


def test_processes_that_share_a_file_store_refresh_once(served_gate, tmp_path):
    gate, url = served_gate
    AgentGateClient(url, "agc_1", CLIENT_SECRET, store=FileStore(tmp_path)).create_session("code")
    gate.expires_in = 900
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    processes = [
        spawn.Process(target=_verify_in_process, args=(url, tmp_path, barrier, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [True] * 2
    for process in processes:
        process.join()
    assert gate.calls["/tokens/refresh"] == 1 and not gate.family_ended
