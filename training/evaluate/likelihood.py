"""The likelihood that a checkpoint's metadata tells of, as the module that computes it."""

from service.metadata import Metadata
from service.scoring.likelihood import Likelihood as LikelihoodOfMetadata
from training.config import LossConfig
from training.errors import NotComputable
from training.likelihoods import Likelihood, build_likelihood


def likelihood_from(metadata: Metadata, *, has_logits: bool) -> Likelihood:
    """The likelihood that metadata tell of.

    Raises:
        NotComputable: There is no scale; or a Bernoulli likelihood is to be computed from decoded pixels.
    """
    known = LikelihoodOfMetadata.of(metadata)
    if known is None:
        raise NotComputable(
            f"the metadata has no likelihood_scale of its {metadata.likelihood} likelihood; "
            "export the run again"
        )
    if known.kind == "bernoulli" and not has_logits:
        raise NotComputable(
            "the module has no decode_logits, and a Bernoulli likelihood of decoded pixels is infinite "
            "where one of them is 0 or 255; export the run again"
        )
    return build_likelihood(LossConfig(likelihood=known.kind, scale=known.scale))
