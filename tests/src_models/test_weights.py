"""Weights on disk: the same back, or one line that says what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from zoo import make_card

from src_models import create_model, weights
from src_models.card import NetSpec
from src_models.errors import InputError
from src_models.weights import load_model, save_model, save_tensors, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def make_net(classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return create_model("unet", ndim=2, in_channels=1, classes=classes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(make_net(), make_card(), tmp_path)
    return tmp_path


def fault(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(folder: Path, **changed: Any) -> None:
    """Change keys of the card."""
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_sha256_by_hand(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, example B.1
    assert sha256_of(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_what_is_saved_is_loaded(folder: Path) -> None:
    net, card = load_model(folder)
    assert not net.training
    assert card == make_card(sha256=sha256_of(folder / "weights.safetensors"))
    wanted = make_net().state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in net.state_dict().items())
    assert sorted(p.name for p in folder.iterdir()) == [
        "card.json",
        "weights.safetensors",
    ]


def test_sixteen_bit_weights_are_half_as_long_and_close(folder: Path) -> None:
    path = folder / "weights.safetensors"
    long = path.stat().st_size
    net = make_net().eval()
    save_model(net, make_card(precision="float16"), folder)
    assert path.stat().st_size < 0.51 * long
    assert {v.dtype for v in load_file(path).values()} == {torch.float16}
    again, card = load_model(folder)
    assert card.precision == "float16"
    assert {v.dtype for v in again.state_dict().values()} == {torch.float32}
    x = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(again(x), net(x), rtol=0.02, atol=0.02)


def test_saving_leaves_the_net_as_it_was(tmp_path: Path) -> None:
    net = make_net()
    save_model(net, make_card(precision="float16"), tmp_path)
    assert next(net.parameters()).dtype == torch.float32
    assert net.training


def test_missing_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    assert "weights.safetensors is missing" in fault(folder)


def test_missing_card(folder: Path) -> None:
    (folder / "card.json").unlink()
    assert "no readable card.json" in fault(folder)


def test_other_weights(folder: Path) -> None:
    rewrite(folder, sha256="0" * 64)
    assert "not those of the card (SHA-256" in fault(folder)


@pytest.mark.parametrize("kept", [0, 4, 1000, -1])
def test_truncated_weights(folder: Path, kept: int) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "not those of the card" in fault(folder)
    rewrite(folder, sha256=sha256_of(path))  # even if the card says they are
    assert "not a readable safetensors file" in fault(folder)


def test_a_pickle_is_not_read(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch never'\ntR.")
    rewrite(folder, sha256=sha256_of(path))
    assert "not a readable safetensors file" in fault(folder)


def test_weights_of_another_net(folder: Path) -> None:
    net = {"system": "unet", "ndim": 2, "in_channels": 1, "classes": 5}
    rewrite(folder, net=net)
    message = fault(folder)
    assert "head.bias is (2,), wanted (5,)" in message


@pytest.mark.parametrize(
    ("drop", "add", "says"),
    [
        ("head.bias", None, "head.bias is missing, wanted (2,)"),
        (None, "extra", "extra is (1,), wanted nothing"),
    ],
)
def test_names_of_another_net(
    folder: Path, drop: str | None, add: str | None, says: str
) -> None:
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    tensors.pop(drop, None)  # type: ignore[arg-type]
    save_file(tensors | ({add: torch.zeros(1)} if add else {}), path)
    rewrite(folder, sha256=sha256_of(path))
    assert says in fault(folder)


def test_a_card_of_a_later_program(folder: Path) -> None:
    rewrite(folder, schema_version=2)
    assert "schema_version: Input should be 1" in fault(folder)


def test_an_unknown_system(folder: Path) -> None:
    rewrite(
        folder,
        net=NetSpec(system="unett", ndim=2, in_channels=1, classes=2).model_dump(),
    )
    assert "did you mean 'unet'" in fault(folder)


@pytest.mark.parametrize("half_way", [True, False])
def test_a_failed_save_leaves_the_earlier_file(
    folder: Path, half_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_model(folder)[0].state_dict()

    def full_disk(_: object, path: Path) -> None:
        if half_way:
            path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(make_net(), make_card(title="newer"), folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "card.json",
        "weights.safetensors",
    ]
    after = load_model(folder)[0].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_tensors_of_any_layout(tmp_path: Path) -> None:
    wide = torch.arange(6.0).view(2, 3)
    tensors = {"t": wide.T, "part": wide[:, 1], "leaf": wide.clone().requires_grad_()}
    save_tensors(tensors, tmp_path / "t.safetensors")
    back = load_file(tmp_path / "t.safetensors")
    assert all(torch.equal(back[k], v) for k, v in tensors.items())
