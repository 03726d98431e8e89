"""The addresses that a webhook may call, and the responses that count as delivered."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hubstead.webhooks import Sender
from hubstead.webhooks.public_addresses import is_public
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.mark.parametrize(
    ("status", "ok"),
    [(200, True), (204, True), (299, True), (301, False), (400, False), (500, False)],
)
async def test_only_2xx_counts_as_delivered(receiver: Receiver, status: int, ok: bool) -> None:
    receiver.answer = lambda _received: status
    receiver.headers = {"Location": receiver.url}
    sender = Sender()
    response = await sender.post(receiver.url, "{}", None)
    assert (response.status, response.ok, response.error is None) == (status, ok, ok)
    assert len(receiver.received) == 1
    await sender.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0", "2130706433"]
)
async def test_private_addresses_are_refused_in_any_spelling_if_so_configured(
    receiver: Receiver, host: str
) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    strict = Sender(private_networks=False)
    response = await strict.post(url, "{}", None)
    assert response.status is None
    assert response.error
    assert receiver.received == []
    await strict.close()


async def test_localhost_is_reachable_despite_its_two_addresses(receiver: Receiver) -> None:
    sender = Sender()
    response = await sender.post(receiver.url.replace("127.0.0.1", "localhost"), "{}", None)
    assert response.ok
    assert receiver.received[0].headers["Host"].startswith("localhost:")
    await sender.close()


async def test_a_name_is_resolved_and_checked_at_every_call(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second resolution differs, as an attacker's would."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    answers = iter(["127.0.0.1", "10.0.0.1", "127.0.0.1"])
    seen: list[str] = []

    def look_up(host: str, *_more: object, **_options: object) -> list[object]:
        address = next(answers) if host == "rebind.example" else host
        seen.append(address)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sender = Sender(private_networks=False, is_public=lambda a: not a.startswith("10."))
    url = f"http://rebind.example:{port}/hook"
    assert (await sender.post(url, "{}", None)).ok
    refused = await sender.post(url, "{}", None)
    assert refused.error
    assert "no public address" in refused.error
    assert (await sender.post(url, "{}", None)).ok
    assert len(receiver.received) == 2
    assert receiver.received[0].headers["Host"] == f"rebind.example:{port}"
    await sender.close()


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1
    255.255.255.255 240.0.0.1 198.18.0.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd12::1 ff02::1
    ::ffff:10.0.0.1 ::ffff:169.254.169.254 2002:7f00:1:: 2002:a00:1:: 64:ff9b::a00:1
    64:ff9b::7f00:1 2001:db8::1 64:ff9b:1::1 3fff::1 ::10.0.0.1 ::8.8.8.8 4000::1 192.0.0.9
    192.88.99.1 192.31.196.1 2001:20::1 2001:0:a00:1:: 5f00::1 fec0::1 100::1""".split(),
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


async def test_a_name_without_an_address_is_an_ordinary_failure() -> None:
    sender = Sender()
    response = await sender.post("http://nowhere.invalid/", "{}", None)
    assert response.status is None
    assert response.error
    assert "no address" in response.error
    await sender.close()


async def test_the_time_limit_is_for_the_whole_response() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = Sender(timeout_s=0.3)
        response = await sender.post(f"http://127.0.0.1:{listening.getsockname()[1]}/", "{}", None)
        assert response.error == "no answer within 0.3 seconds"
        await sender.close()


async def test_a_server_that_does_not_speak_http_is_an_ordinary_failure(receiver: Receiver) -> None:
    sender = Sender(timeout_s=3)
    response = await sender.post(receiver.url.replace("http:", "https:"), "{}", None)
    assert response.status is None
    assert response.error
    assert receiver.received == []
    await sender.close()
