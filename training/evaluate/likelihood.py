"""The likelihood that a checkpoint's metadata tells of, as the module that computes it."""

from service.metadata import Metadata
from training.config import LossConfig
from training.errors import NotComputable
from training.likelihoods import Likelihood, build_likelihood


def likelihood_from(metadata: Metadata, *, has_logits: bool) -> Likelihood:
    """The likelihood that metadata tell of.

    Its scale is `likelihood_scale`, or `quality["sigma"]` of checkpoints from before there was one.

    Raises:
        NotComputable: There is no scale; or a Bernoulli likelihood is to be computed from decoded pixels.
    """
    if metadata.likelihood == "bernoulli":
        if not has_logits:
            raise NotComputable(
                "the module has no decode_logits, and a Bernoulli likelihood of decoded pixels is infinite "
                "where one of them is 0 or 255; export the run again"
            )
        return build_likelihood(LossConfig(likelihood="bernoulli"))
    scale = metadata.likelihood_scale or metadata.quality.get("sigma")
    if scale is None:
        raise NotComputable(
            f"the metadata has no likelihood_scale of its {metadata.likelihood} likelihood; "
            "export the run again"
        )
    return build_likelihood(LossConfig(likelihood=metadata.likelihood, scale=scale))
