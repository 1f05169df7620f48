from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestrator.devnet.ports import Ports, free_port, port_is_free
from orchestrator.domain.errors import Unavailable


def test_of__asked_again__same_port_also_by_another_process(data_dir: Path) -> None:
    file = data_dir / "ports.json"
    port = Ports(file).of("gateway")
    assert Ports(file).of("gateway") == port


def test_of__several_names__all_different(data_dir: Path) -> None:
    ports = Ports(data_dir / "ports.json")
    assert len({ports.of(f"service-{number}") for number in range(50)}) == 50


def test_of__remembered_port_taken__unavailable_names_it(data_dir: Path) -> None:
    ports = Ports(data_dir / "ports.json")
    port = ports.of("gateway")
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Unavailable) as caught:
        ports.of("gateway")
    assert caught.value.code == "port-taken"
    assert str(port) in caught.value.detail


def test_of__port_wanted__taken_and_remembered(data_dir: Path) -> None:
    file = data_dir / "ports.json"
    wanted = free_port()
    assert Ports(file).of("portal", wanted) == wanted
    assert Ports(file).of("portal") == wanted


def test_port_is_free__somebody_listens__false() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not port_is_free(server.getsockname()[1])
