"""A run's model as it was trained, to be asked and measured: base and adapter loaded, nothing that only training needs.

Which adapter is `engine.chosen_adapter`; the process around it `engine.answerer`.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from peft import PeftModel

from data.conversation import Conversation, Turn
from data.example_store import ExampleStore
from data.preparation import Prepared, prepare, settings_of
from data.tokenizer import load_tokenizer
from engine import answers, assembly, events
from engine.answers import Ask, Evaluate
from engine.chosen_adapter import step_of
from engine.config import Config, Data
from engine.errors import ModelError, RunError
from engine.evaluation import evaluate
from engine.fitting import CPU_TOKENS
from engine.loading import load_base, model_type, pick_device, prepare_training
from engine.model_shape import ModelShape
from engine.model_source import read_config
from engine.precision import choose_precision
from engine.run_directory import RunDirectory
from engine.sampling import Question, sample

Say = Callable[[answers.Reply], None]


class Trained:
    """One adapter of one run, loaded."""

    def __init__(self, run: RunDirectory, adapter: Path, config: Config, say: Say):
        """say: is told each phase of loading. Raises DanluError."""
        self._run, self._config, self._say = run, config, say
        folder = assembly.locate(config, say)
        self._tokenizer = load_tokenizer(folder)
        device = pick_device()
        say(events.Phase(name="load", detail=config.model.name))
        self._shape = ModelShape.from_config(read_config(folder))
        precision, _ = choose_precision(config.model.precision, device, model_type(folder))
        base = load_base(folder, precision, config.model.quantization, device)
        try:
            peft = PeftModel.from_pretrained(base, str(adapter))
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            words = str(error).splitlines()[0]
            raise RunError(
                f"{adapter}: cannot be loaded onto {config.model.name} ({words}); the base it was trained on has to lie there again",
                "other_base", path=adapter, model=config.model.name, words=words,
            ) from error  # fmt: skip
        self._model = prepare_training(peft, self._shape, config.lora, device, precision, recomputed_layers=0)
        self._step = step_of(adapter)
        self._own: ExampleStore | None = None

    def ready(self) -> answers.Ready:
        model = self._model
        return answers.Ready(
            model=self._config.model.name, step=self._step, device=assembly.device_name(model.device), precision=model.precision,
            thinking_style=self._tokenizer.thinking_style,
        )  # fmt: skip

    def answer(self, request: Ask | Evaluate, is_halted: Callable[[], bool]) -> None:
        """Tell what the model says, or how well it does. Raises DanluError."""
        with self._model.base_alone(request.base):
            if isinstance(request, Ask):
                self._ask(request, is_halted)
            else:
                self._evaluate(request, is_halted)

    def _ask(self, request: Ask, is_halted: Callable[[], bool]) -> None:
        said = [turn for question, reply in request.history for turn in (Turn("user", question), Turn("assistant", reply))]
        system = self._config.data.system if request.system is None else request.system
        ids = self._tokenizer.prompt_ids(Conversation((*said, Turn("user", request.prompt)), system))
        wanted = {"max_new_tokens": request.max_new_tokens, "temperature": request.temperature}
        settings = msgspec.structs.replace(self._config.sample, **{name: value for name, value in wanted.items() if value is not None})
        if most := self._shape.max_positions:
            settings = msgspec.structs.replace(settings, max_new_tokens=min(settings.max_new_tokens, _room(len(ids), most)))
        sample(
            self._model, self._tokenizer, [Question(request.id, request.prompt, ids)], settings, step=0 if request.base else self._step,
            seed=self._config.train.seed, emit=self._say, interrupted=is_halted,
        )  # fmt: skip

    def _evaluate(self, request: Evaluate, is_halted: Callable[[], bool]) -> None:
        examples = self._examples(request)
        found = evaluate(
            self._model, examples, step=0 if request.base else self._step, row_length=CPU_TOKENS, interrupted=is_halted,
            progress=lambda done, total: self._say(events.Phase(name="evaluate", done=done, total=total)),
        )  # fmt: skip
        if found is not None:
            self._say(found)

    def _examples(self, request: Evaluate) -> ExampleStore:
        """Of a file, all that can be used; without one, those that the run kept apart."""
        if request.data:
            own = self._config.data
            return self._prepared(msgspec.structs.replace(
                own, path=request.data, columns=request.columns or own.columns, eval_path="", eval_fraction=0.0, limit=None,
                max_seq_length=self._shape.max_positions or own.max_seq_length,
            )).train  # fmt: skip
        if self._own is None:
            self._own = self._prepared(self._config.data).eval
        if not self._own:
            raise RunError(
                f"{self._run.name}: kept no records apart to evaluate on (data.eval_fraction = 0); give a file with --data",
                "nothing_held_out", name=self._run.name,
            )  # fmt: skip
        return self._own

    def _prepared(self, data: Data) -> Prepared:
        return prepare(
            settings_of(data), self._tokenizer, self._config.train.seed,
            lambda name, done, total: self._say(events.Phase(name="tokenise", done=done, total=total, detail=name)),
        )  # fmt: skip


def _room(tokens: int, most: int) -> int:
    """How many tokens may follow a prompt of `tokens`. Raises ModelError where it fills the model's context."""
    if tokens >= most:
        raise ModelError(
            f"the conversation takes {tokens} tokens and the model sees {most}; begin a new one, or ask a shorter question",
            "too_long", tokens=tokens, most=most,
        )  # fmt: skip
    return most - tokens
