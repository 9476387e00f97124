"""The networks that can be trained, by the name that a config gives them."""

from training.models.mlp import MLPVAE
from training.models.residual import ResidualVAE
from training.models.vanilla import VanillaVAE

MODELS = {"vanilla": VanillaVAE, "residual": ResidualVAE, "mlp": MLPVAE}
