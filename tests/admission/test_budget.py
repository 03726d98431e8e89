"""Buffered bytes are bounded over all requests and for each caller; callers have names."""

from __future__ import annotations

import pytest

from hubstead.admission import Admission, StallWatch, address_key, buffer_bytes
from hubstead.errors import Overloaded, ShareExceeded


def test_buffered_bytes_are_bounded_and_returned_at_the_end_of_a_request() -> None:
    admission = Admission(buffered_bytes=100, buffered_share=60)
    ada, bea = admission.begin("ada"), admission.begin("bea")
    ada.buffer(40)
    with pytest.raises(ShareExceeded):
        ada.buffer(21)
    bea.buffer(60)
    with pytest.raises(Overloaded):
        ada.buffer(1)
    ada.release()
    ada.release()
    assert admission.budget.used == 60
    with admission.begin("eve").current():
        buffer_bytes(40)
        assert admission.budget.used == 100
    assert admission.budget.used == 60
    assert admission.budget.refused == 2


def test_bytes_are_returned_to_the_caller_of_their_reservation() -> None:
    admission = Admission(buffered_bytes=100, buffered_share=60)
    work = admission.begin("192.0.2.1")
    work.buffer(30)
    work.caller = "account 7"  # signed in meanwhile
    work.buffer(30)
    work.release()
    admission.begin("192.0.2.1").buffer(60)
    assert admission.budget.used == 60


def test_bytes_of_the_background_are_not_counted() -> None:
    buffer_bytes(1 << 50)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("/run/hub.sock", "/run/hub.sock"),
    ],
)
def test_an_address_names_its_caller(address: str, key: str) -> None:
    assert address_key(address) == key


def test_only_a_delay_of_more_than_50_ms_is_a_stall_of_the_event_loop() -> None:
    stalls = StallWatch()
    for late_s in (0.001, 0.049, 0.06, 0.2):
        stalls.note(late_s)
    assert stalls.count == 2
    assert stalls.seconds == pytest.approx(0.26)
