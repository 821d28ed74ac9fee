"""Settings that are allowed one by one and make no sense together. The schema cannot say so, because keys are changed one at a time."""

from engine.config import Config
from engine.errors import ConfigError


def check_together(config: Config) -> None:
    """Raise ConfigError for the first pair of settings that contradict each other, with both ways out."""
    lora, train = config.lora, config.train
    if lora.init != "default" and config.model.quantization != "none":
        raise ConfigError(
            f"lora.init = {lora.init!r} takes a part out of the base weights, which model.quantization = {config.model.quantization!r} "
            "stores in few bits: set lora.init = 'default' or model.quantization = 'none'"
        )
    if lora.variant == "dora" and config.model.quantization == "int8":
        raise ConfigError(
            "lora.variant = 'dora' reads the base weights in every pass, in which peft loses the scales of model.quantization = 'int8' on "
            "a CPU: set lora.variant = 'lora' or model.quantization = 'nf4'"
        )
    if train.optimizer == "muon" and lora.variant == "dora":
        raise ConfigError(
            "train.optimizer = 'muon' updates matrices, and lora.variant = 'dora' trains vectors too: set train.optimizer = 'adamw' or "
            "lora.variant = 'lora'"
        )
