"""The settings: one order of sources, clear faults, hidden secrets, current documentation."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.settings import (
    BadSettings,
    Described,
    Settings,
    as_markdown,
    describe,
    format_bytes,
    list_warnings,
    load,
    parse_bytes,
    parse_seconds,
)

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HUBSTEAD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def write_file(folder: Path, text: str, name: str = "hubstead.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def described(settings: Settings, name: str) -> Described:
    return next(d for d in describe(settings) if d.name == name)


def faults(**arguments: object) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load(**arguments)  # type: ignore[arg-type]
    return caught.value.faults


class TestSources:
    def test_later_sources_win_and_are_named(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_file(data, 'host = "a"\nport = 1\nmax_page = 1\n')
        monkeypatch.setenv("HUBSTEAD_PORT", "2")
        monkeypatch.setenv("HUBSTEAD_MAX_PAGE", "2")
        settings = load(data=data, overrides={"max_page": 3, "host": None})
        assert (settings.server.host, settings.server.port, settings.requests.max_page) == (
            "a",
            2,
            3,
        )
        origins = [described(settings, n).origin for n in ("host", "port", "max_page", "blobs")]
        assert origins == [f"file {path}", "environment", "option", "default"]

    def test_without_a_file_the_defaults_apply(self, data: Path) -> None:
        settings = load(data=data)
        assert settings == Settings(data=data)
        assert settings.database_url == f"sqlite:///{data}/hubstead.db"
        assert settings.blobs_url == f"file://{data}/blobs"
        assert settings.git_root == data / "git"

    def test_the_file_in_the_data_folder_of_the_environment_is_read(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_file(data, "port = 7")
        monkeypatch.setenv("HUBSTEAD_DATA", str(data))
        assert (load().server.port, load().data) == (7, data)

    def test_a_named_file_replaces_the_one_in_the_data_folder(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_file(data, "port = 7")
        named = write_file(tmp_path, "max_page = 5", "other.toml")
        monkeypatch.setenv("HUBSTEAD_SETTINGS", str(named))
        by_variable, by_option = load(data=data), load(data=data, file=named)
        assert by_variable == by_option == Settings(data=data).replace(max_page=5)

    def test_a_relative_data_folder_in_a_file_is_relative_to_the_file(self, tmp_path: Path) -> None:
        named = write_file(tmp_path / "etc", 'data = "../hub"', "h.toml")
        assert load(file=named).data == tmp_path / "hub"

    def test_a_named_file_must_exist(self, tmp_path: Path) -> None:
        assert "No such file" in faults(file=tmp_path / "absent.toml")[0]

    def test_a_relative_database_is_among_the_private_paths(self, data: Path) -> None:
        absolute = load(data=data).private_paths()
        assert data / "hubstead.db" in absolute
        relative = load(data=data, overrides={"database": "sqlite:///hub.db"}).private_paths()
        assert {Path("hub.db"), Path("hub.db-wal")} <= set(relative)

    def test_settings_are_immutable(self, data: Path) -> None:
        with pytest.raises(FrozenInstanceError):
            load(data=data).server.port = 1  # type: ignore[misc]


class TestFaults:
    def test_an_unknown_name_in_the_file_is_refused_with_a_hint(self, data: Path) -> None:
        path = write_file(data, "prot = 8080")
        assert faults(data=data) == [f"{path}: there is no setting 'prot': did you mean port?"]

    def test_an_unknown_option_is_refused(self, data: Path) -> None:
        assert "there is no setting 'colour'" in faults(data=data, overrides={"colour": 1})[0]

    def test_a_misspelled_variable_is_refused_and_a_foreign_one_is_ignored(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUBSTEAD_SERVICE_HOST", "10.0.0.1")
        assert load(data=data)
        monkeypatch.setenv("HUBSTEAD_DATABSE", "x")
        assert faults(data=data) == [
            "environment: HUBSTEAD_DATABSE is not a setting: did you mean HUBSTEAD_DATABASE?"
        ]

    def test_a_file_that_is_not_toml_is_refused(self, data: Path) -> None:
        path = write_file(data, "port: 1")
        assert faults(data=data)[0].startswith(f"{path}: ")

    def test_the_file_in_the_data_folder_cannot_move_the_folder(self, data: Path) -> None:
        write_file(data, 'data = "elsewhere"')
        assert "use --data or HUBSTEAD_DATA" in faults(data=data)[0]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("port = 9.5", "9.5 is not a whole number"),
            ("port = true", "True is not a whole number"),
            ('port = "abc"', "'abc' is not a whole number"),
            ("port = -1", "-1 is too small: at least 0"),
            ("port = 70000", "too large"),
            ("host = 5", "5 is not text"),
            ('s3_path_style = "perhaps"', "neither true nor false"),
            ('log_format = "maybe"', "'maybe' is none of json, text"),
            ('max_json_body_bytes = "10 apples"', "'10 apples' is not a size"),
            ('header_seconds = "soon"', "'soon' is not a span of time"),
            ("max_page = 0", "0 is too small: at least 1"),
            ('public_url = "hub"', "not an address like https://"),
            ('public_url = "https://"', "not an address like https://"),
            ('public_url = "ftp://hub"', "not an address like https://"),
            ('public_url = "https://hub:99999"', "not an address like https://"),
            ('public_url = "https://hub:x"', "not an address like https://"),
            ('public_url = "https://[::1"', "not an address like https://"),
            ('public_url = "https://-hub"', "not an address like https://"),
            ('public_url = "https://hub\\n.example"', "not an address like https://"),
            ('public_url = "https://hub?"', "must end before its query"),
            ('public_url = "https://hub/a#b"', "must end before its query"),
            ('public_url = "https://hub//a"', "its path '//a' must consist of"),
            ('public_url = "https://hub/../a"', "its path '/../a' must consist of"),
            ('public_url = "https://hub/a;b"', "its path '/a;b' must consist of"),
            ('host = ""', "host: it must not be empty"),
            ('host = "::1\\n"', "a newline or another control character"),
            ('s3_secret_key = "key\\n"', "a newline or another control character"),
            ('blobs = "file:///a%0Ab"', "a newline or another control character"),
            ('trusted_proxies = ["here"]', "'here' is not a network"),
            ("trusted_proxies = 5", "5 is not a list"),
            ('webhook_kinds = ["bucket"]', "'bucket' is none of"),
            ('database = "mysql://x"', "postgresql://"),
            ('blobs = "ftp://x"', "s3://bucket/prefix"),
            ('lfs_part_bytes = "5MiB"', "too small for files of 500GB"),
            ('max_regular_file_bytes = "1MiB"', "must not exceed max_regular_file_bytes"),
        ],
    )
    def test_an_invalid_value_is_refused_with_the_reason(
        self, data: Path, line: str, reason: str
    ) -> None:
        write_file(data, line)
        [fault] = faults(data=data)
        assert reason in fault
        if "regular" not in line:
            assert fault.startswith(line.split(maxsplit=1)[0])

    def test_a_password_in_the_public_address_is_refused_and_not_printed(self, data: Path) -> None:
        write_file(data, 'public_url = "https://hub:hunter2@hub.example"')
        [fault] = faults(data=data)
        assert "must have no user and no password" in fault
        assert "hunter2" not in fault

    @pytest.mark.parametrize("name", ["a\nb", "a\x7fb"])
    def test_a_data_folder_with_a_control_character_is_refused(
        self, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = ["data: it contains a newline or another control character"]
        assert faults(data=tmp_path / name) == refused
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert faults() == refused

    def test_all_faults_are_reported_together_with_their_sources(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_file(data, 'port = "x"\nhost = 1\n')
        monkeypatch.setenv("HUBSTEAD_MAX_PAGE", "y")
        assert [fault.split(":", 1)[0] for fault in faults(data=data)] == [
            f"port (file {path})",
            f"host (file {path})",
            "max_page (HUBSTEAD_MAX_PAGE)",
        ]


class TestValues:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("https://hub.example.com/", "https://hub.example.com"),
            ("HTTPS://Hub.Example.COM:443", "https://hub.example.com"),
            ("http://hub:80//", "http://hub"),
            ("http://hub:443", "http://hub:443"),
            ("https://hub.example.com.:", "https://hub.example.com"),
            (" https://hub:08443 ", "https://hub:8443"),
            ("https://hub/Models/of.us/", "https://hub/Models/of.us"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[2001:DB8:0::1]:80/a", "http://[2001:db8::1]/a"),
            ("", ""),
        ],
    )
    def test_an_address_has_one_spelling(self, data: Path, written: str, read: str) -> None:
        settings = load(data=data, overrides={"public_url": written})
        assert settings.server.public_url == read
        assert load(data=data, overrides={"public_url": read}) == settings

    def test_lists_are_toml_lists_or_comma_separated(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_file(data, 'webhook_kinds = ["model", "space"]')
        monkeypatch.setenv("HUBSTEAD_TRUSTED_PROXIES", "10.0.0.0/8, ::1 ,")
        settings = load(data=data)
        assert settings.webhooks.kinds == ("model", "space")
        assert settings.server.trusted_proxies == ("10.0.0.0/8", "::1")

    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("10MiB", 10 * 2**20),
            ("500 gb", 500 * 10**9),
            ("64k", 65536),
            ("1.5KiB", 1536),
            ("7", 7),
        ],
    )
    def test_sizes_may_have_a_unit(self, text: str, count: int) -> None:
        assert parse_bytes(text) == count

    @given(st.integers(min_value=0, max_value=2**60))
    def test_a_displayed_size_reads_back_exactly(self, count: int) -> None:
        assert parse_bytes(format_bytes(count)) == count

    @given(st.text())
    def test_any_text_is_a_size_or_a_fault(self, text: str) -> None:
        try:
            count = parse_bytes(text)
        except ValueError as fault:
            count = 0 if "is not a size" in str(fault) else -1
        assert count >= 0

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90", 90), ("0.5", 0.5), ("15m", 900), ("12 h", 43200), ("7D", 604800)],
    )
    def test_durations_may_have_a_unit(self, text: str, seconds: float) -> None:
        assert parse_seconds(text) == seconds


class TestWarnings:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"public_url": "https://hub.example"}, "https://hub.example, which needs a proxy"),
            ({"public_url": "https://hub.example", "host": "0.0.0.0"}, "trusted_proxies"),
            ({"public_url": "http://hub.example"}, "all clients share the proxy's address"),
            ({"public_url": "http://hub.example", "host": "::1"}, "trusted_proxies"),
            ({"trusted_proxies": "10.0.0.0/8"}, "public_url is not: links begin with"),
        ],
    )
    def test_half_a_configuration_of_a_proxy_is_reported(
        self, data: Path, given: dict[str, object], words: str
    ) -> None:
        [warning] = list_warnings(load(data=data, overrides=given))
        assert words in warning

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"public_url": "https://hub.example", "trusted_proxies": "10.0.0.0/8"},
            {"public_url": "http://hub.example:8080", "host": "0.0.0.0"},
            {"public_url": "http://localhost:8080"},
            {"public_url": "http://[::1]:8080", "host": "::1"},
        ],
    )
    def test_a_whole_configuration_is_not(self, data: Path, given: dict[str, object]) -> None:
        assert list_warnings(load(data=data, overrides=given)) == []


class TestSecrets:
    ADDRESS = "postgresql://hub:hunter2@db.example.com/hub?password=hunter2&sslmode=require"

    @pytest.fixture
    def settings(self, data: Path) -> Settings:
        keys = {"s3_secret_key": "hunter2", "s3_session_token": "hunter2"}
        return load(data=data, overrides={"database": self.ADDRESS, **keys})

    def test_the_program_can_read_them(self, settings: Settings) -> None:
        assert (settings.database_url, settings.s3.secret_key) == (self.ADDRESS, "hunter2")

    def test_no_printed_form_has_them(self, settings: Settings) -> None:
        assert "hunter2" not in repr(settings) + str(settings) + repr(describe(settings))
        assert described(settings, "database").value.startswith("postgresql://hub:***@db.example")

    def test_no_fault_has_them(self, data: Path) -> None:
        write_file(data, "s3_secret_key = 7777")
        assert "7777" not in faults(data=data)[0]


class TestDocumentation:
    def test_every_setting_has_a_description(self) -> None:
        assert [d.name for d in describe(Settings()) if len(d.help) < 20] == []

    def test_the_page_about_settings_is_current(self) -> None:
        assert DOCS.read_text() == as_markdown(), "run `make docs`"

    def test_every_default_can_be_written_back(self, data: Path) -> None:
        written = {d.name: d.default for d in describe(Settings()) if d.name != "data"}
        assert load(data=data, overrides=written) == load(data=data)

    @pytest.fixture
    def variables(self, monkeypatch: pytest.MonkeyPatch, data: Path) -> dict[str, str]:
        values = {d.variable: d.default for d in describe(Settings()) if d.name != "data"}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return values

    def test_every_setting_can_be_set_by_its_variable(
        self, variables: dict[str, str], data: Path
    ) -> None:
        origins = load(data=data).origins
        assert sum(o == "environment" for o in origins.values()) == len(variables)
