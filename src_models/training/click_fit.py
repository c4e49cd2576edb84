"""Train a click net with simulated users: one generator, resumed where it stopped.

Every round of clicks is also a step that learns, so that each forward pass counts twice:
for the gradient and for the mask that the next click mends.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from src_models.data.click_samples import Shares
from src_models.data.loader import ahead
from src_models.errors import InputError
from src_models.interactive.net import ClickNet
from src_models.training import checkpoint
from src_models.training.click_judge import JudgeStep, teach_judge
from src_models.training.click_users import MEMORY, PRACTICE, iou
from src_models.training.parts import average_into
from src_models.training.schedule import warm_cosine
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from src_models.data.click_cache import Planes
    from src_models.training.click_config import ClickRecipe
    from src_models.training.click_users import AnySample, User

ROUNDS = {1: 0.3, 2: 0.3, 3: 0.2, 4: 0.1, 6: 0.06, 8: 0.04}  # of clicks, how often
EARLY = 800  # steps with two rounds at most
CHECKED = 42  # samples of a check
CAP = 20  # clicks
END = "end-{}.safetensors"  # the averaged net as a cycle left it


@dataclass(frozen=True, slots=True)
class ClickStep:
    """A batch (1-based): mean loss, mean IoU after its first prompts and at its end."""

    number: int
    of: int
    loss: float
    first_iou: float
    last_iou: float


@dataclass(frozen=True, slots=True)
class ClickCheck:
    """How the averaged net does on fixed samples of patients not trained on.

    Attributes
    ----------
    clicks : float
        Mean clicks to IoU .85; `CAP` where it was not reached.
    iou1, iou3, iou5 : float
        Mean IoU after as many clicks.
    """

    step: int
    clicks: float
    iou1: float
    iou3: float
    iou5: float
    hours: float


def fit(
    recipe: ClickRecipe,
    train: Sequence[Planes],
    validation: Sequence[Planes],
    run: Path,
    *,
    device: str = "cpu",
) -> Generator[ClickStep | ClickCheck | JudgeStep, None, ClickNet]:
    """Train; returns the averaged net (see `ClickSchedule`), its judge taught last.

    The state is in `run`, written every `save_minutes` and at the end. Called again with
    the same folder it goes on, and gives what it would have given uninterrupted: a step
    draws its random numbers from (seed, step) alone.

    Raises
    ------
    InputError
        If there is nothing to learn from, the loss becomes NaN, the state is damaged, or
        the folder holds a run of other settings.
    """
    plan = recipe.train
    if not any(one.slices for one in train):
        raise InputError(
            "no labelled slice to learn from; check the sets and the split"
        )
    shares = Shares(recipe.samples.shapes, recipe.samples.regions)
    largest = recipe.samples.final_size or recipe.samples.size
    practice = PRACTICE[recipe.net.ndim]
    checks = practice.source(validation, largest, shares).still(CHECKED, plan.seed)
    net, ema, optimizer, facts = begin(recipe, run, device)
    if (run / END.format(facts["epoch"])).is_file():
        mean_of_ends(ema, run, [facts["epoch"]])  # as it was before a mean was taken
    saved = checked = began = time.monotonic()
    before = float(facts["hours"])
    numbers = range(facts["epoch"] + 1, plan.steps + 1)
    for number, samples in zip(numbers, _drawn(recipe, train, numbers), strict=True):
        yield _step(recipe, number, samples, net, ema, optimizer)
        facts["epoch"] = number
        now = time.monotonic()
        facts["hours"] = before + (now - began) / 3600
        last = number == plan.steps
        if number in plan.ends:
            run.mkdir(parents=True, exist_ok=True)
            save_tensors(ema.state_dict(), run / END.format(number))
        if checks and (last or now - checked > 60 * plan.check_minutes):
            users = [practice.user(sample) for sample in checks]
            found = check(ema, users, number, facts["hours"], plan.precision)
            facts["history"].append(asdict(found))
            checked = time.monotonic()
            yield found
        if last or now - saved > 60 * plan.save_minutes:
            checkpoint.save(run, net=net, ema=ema, optimizer=optimizer, facts=facts)
            saved = time.monotonic()
    if plan.averaged > 1:
        mean_of_ends(ema, run, plan.ends[-plan.averaged :])
    yield from teach_judge(recipe, ema, train)
    checkpoint.save(run, net=net, ema=ema, optimizer=optimizer, facts=facts)
    return ema


def mean_of_ends(net: ClickNet, run: Path, ends: Sequence[int]) -> None:
    """Give a net the mean weights of what was kept after the steps `ends` of a run.

    Raises
    ------
    InputError
        If one of them is not there, or not of this net.
    """
    paths = [run / END.format(step) for step in ends]
    try:
        kept = [load_file(path) for path in paths]
        mean = {
            name: torch.stack([one[name].float() for one in kept]).mean(0)
            for name in net.state_dict()
        }
        net.load_state_dict(mean)
    except checkpoint.DAMAGE as error:
        names = ", ".join(path.name for path in paths)
        raise InputError(
            f"{run}: wanted {names} with weights of this net ({error}); delete the "
            "folder to start again, or name another one with --run"
        ) from None


def begin(
    recipe: ClickRecipe, run: Path, device: str
) -> tuple[ClickNet, ClickNet, torch.optim.Optimizer, dict[str, Any]]:
    """Fresh parts, or those of the interrupted run, and how far it had come."""
    plan = recipe.train
    torch.manual_seed(plan.seed)
    channels = PRACTICE[recipe.net.ndim].channels
    net = ClickNet(in_channels=channels, **recipe.net.model_dump())
    net = net.to(device).to(memory_format=MEMORY[net.ndim])  # type: ignore[call-overload]
    ema = deepcopy(net).requires_grad_(False).eval()
    taught = [p for k, p in net.named_parameters() if not k.startswith("judge.")]
    decayed = [p for p in taught if p.ndim > 1]
    plain = [p for p in taught if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": plan.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
    )
    facts = checkpoint.load(run, net=net, ema=ema, optimizer=optimizer)
    settings = recipe.decisive()
    fresh = {"epoch": 0, "best": 0.0, "history": [], "hours": 0.0, "recipe": settings}
    facts = facts or fresh
    if facts["recipe"] != settings:
        raise InputError(
            f"{run} holds a run of {recipe.name} with other settings or sets; delete the "
            "folder to start again, or name another one with --run"
        )
    return net, ema, optimizer, facts


def _drawn(
    recipe: ClickRecipe, train: Sequence[Planes], numbers: range
) -> Iterator[list[AnySample]]:
    """The samples of each step, drawn on a thread beside the net."""
    spec, plan = recipe.samples, recipe.train
    shares = Shares(spec.shapes, spec.regions)
    source = PRACTICE[recipe.net.ndim].source
    early = source(train, spec.size, shares)
    late = source(train, spec.final_size, shares) if spec.final_size else early

    def draw(number: int) -> list[AnySample]:
        random = np.random.default_rng([plan.seed, number, 1])
        before, cycle = plan.in_cycle(number)
        sampler = early if before < cycle * (1 - spec.final_share) else late
        return [sampler.draw(random) for _ in range(plan.batch)]

    return ahead(draw, numbers, workers=1)


def _step(
    recipe: ClickRecipe,
    number: int,
    samples: Sequence[AnySample],
    net: ClickNet,
    ema: ClickNet,
    optimizer: torch.optim.Optimizer,
) -> ClickStep:
    """A batch of users, some rounds of clicks, a gradient step each round."""
    plan = recipe.train
    random = np.random.default_rng([plan.seed, number])
    before, cycle = plan.in_cycle(number)
    factor = warm_cosine(before, total=cycle, warmup=plan.warmup)
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * factor
    users = [PRACTICE[net.ndim].user(sample) for sample in samples]
    truth = torch.from_numpy(np.stack([user.sample.target for user in users]))
    rounds = int(random.choice(list(ROUNDS), p=list(ROUNDS.values())))
    rounds = min(rounds, 2) if number <= EARLY else rounds
    losses, ious = [], []
    net.train()
    for turn in range(rounds):
        for user in users:
            user.act(turn, random)
        logits = look(net, users, plan.precision)
        loss = click_loss(logits, truth.to(logits.device))
        if not bool(loss.isfinite()):
            raise InputError(
                f"{recipe.name}: the loss is not a number in step {number}; the last "
                "saved state is kept. Lower train.learning_rate"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
        optimizer.step()
        average_into(ema, net, min(plan.ema, (1 + number) / (10 + number)))
        _answer(users, logits)
        losses.append(float(loss.detach()))
        ious.append(float(np.mean([iou(user) for user in users])))
    return ClickStep(number, plan.steps, float(np.mean(losses)), ious[0], ious[-1])


def look(net: ClickNet, users: Sequence[User], precision: str) -> Tensor:
    """The net's answer to all of them, logits_BS float32."""
    weight = next(net.parameters())
    x_BCS = torch.from_numpy(np.stack([user.seen() for user in users]))
    x_BCS = x_BCS.to(weight.device, memory_format=MEMORY[net.ndim])
    half = precision == "bf16"
    with torch.autocast(weight.device.type, torch.bfloat16, enabled=half):
        logits: Tensor = net(x_BCS)
    return logits.float()


def _answer(users: Sequence[User], logits_BS: Tensor) -> None:
    """The mask that each user now sees."""
    masks = (logits_BS.detach() > 0).cpu().numpy()
    for user, mask in zip(users, masks, strict=True):
        user.mask = mask & user.sample.valid


def click_loss(logits_BS: Tensor, truth_BS: Tensor) -> Tensor:
    """Cross-entropy of each pixel + 1 − soft Dice of each sample; ≥ 0.

    Dice by sample, unlike `src_models.losses.dice_loss`: sizes differ a hundredfold here.
    """
    truth = truth_BS.float()
    pixel = F.binary_cross_entropy_with_logits(logits_BS, truth)
    guess = logits_BS.sigmoid()
    both = (guess * truth).flatten(1).sum(1)
    each = (guess + truth).flatten(1).sum(1)
    return pixel + (1 - (2 * both + 1) / (each + 1)).mean()


@torch.no_grad()
def check(
    net: ClickNet, users: Sequence[User], step: int, hours: float, precision: str
) -> ClickCheck:
    """Let simulated users, who never miss, click until IoU .85 or `CAP` clicks."""
    needed = np.full(len(users), CAP)
    ious = np.zeros((CAP, len(users)))
    for turn in range(CAP):
        open_ = [i for i in range(len(users)) if needed[i] == CAP or turn < 5]
        for i in open_:
            users[i].mend()
        for start in range(0, len(open_), 8):
            some = [users[i] for i in open_[start : start + 8]]
            _answer(some, look(net, some, precision))
        for i in open_:
            ious[turn, i] = iou(users[i])
            if ious[turn, i] >= 0.85:
                needed[i] = min(needed[i], turn + 1)
    iou1, iou3, iou5 = (float(ious[turn].mean()) for turn in (0, 2, 4))
    return ClickCheck(step, float(needed.mean()), iou1, iou3, iou5, hours)
