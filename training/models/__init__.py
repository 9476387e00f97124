"""The networks that can be trained, by the name that a config gives them."""

from training.models.vanilla import VanillaVAE

MODELS = {"vanilla": VanillaVAE}
