"""uint8 splits -> batches on the device that trains, with flips and binary pixels drawn there.

Shapes: N images, B batch, C channels, H height, W width.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from training.config import Config
from training.data.files import MAX_MEMORY_BYTES
from training.data.fingerprint import fingerprint
from training.data.order import ALONE, EpochOrder, Share
from training.data.read_ahead import read_ahead
from training.data.splits import ImageSplits
from training.errors import DataError

CPU = torch.device("cpu")
DEVICE_SHARE = 4  # images may take one in so many bytes of the device's free memory


class TrainingBatches:
    """The batches of one epoch, each time it is iterated; a loader as Lightning takes them.

    Where the images fit the device they live there, and a batch is one gather. Else they are gathered ahead
    in threads, from memory or the file that is mapped there. Lightning tells `sampler` the epoch; what it
    keeps in a checkpoint is how far the epoch has come, and a resumed run takes the rest of it.

    Args:
        images: uint8 (N, C, H, W).
        config: Its `data.flip` and `data.binarize` are done to each batch anew.
        device: Where the batches are wanted.
        share: The process that they are for.
    """

    def __init__(self, images: Tensor, *, config: Config, device: torch.device, share: Share) -> None:
        self.sampler = EpochOrder(
            len(images), batch_size=config.optimizer.batch_size, share=share, seed=config.seed
        )
        self.config = config
        self.device = device
        self.fingerprint = fingerprint(images)
        self.is_resident = _fits(images, device)
        self.images = images.to(device) if self.is_resident else images
        self._num_taken = 0
        self._resumed = {"epoch": 0, "num_taken": 0}

    def __len__(self) -> int:
        return self.sampler.num_batches

    def __iter__(self) -> Iterator[Tensor]:
        """Batches, uint8 (B, C, H, W), from the first that has not been taken yet."""
        # Lightning makes the iterator before it tells the epoch: nothing is done until the first is wanted.
        batches = self.sampler.batches()
        first = self._resumed["num_taken"] if self._resumed["epoch"] == self.sampler.epoch else 0
        generator = torch.Generator(self.device)
        for index, images in enumerate(self._gathered(batches[first:]), start=first):
            generator.manual_seed(self.sampler.batch_seed(index))
            self._num_taken = index + 1
            yield drawn_anew(
                images, flip=self.config.data.flip, binarize=self.config.data.binarize, generator=generator
            )

    def state_dict(self) -> dict[str, int]:
        """How far the epoch has come, and of which images."""
        return {"epoch": self.sampler.epoch, "num_taken": self._num_taken, **self._identity()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on in the middle of an epoch.

        Raises:
            DataError: The images, or the number of processes in mid-epoch, are not those of the stopped run.
        """
        num_images, num_batches = self.sampler.num_images, len(self)
        if (state["num_images"], state["fingerprint"]) != (num_images, self.fingerprint):
            raise DataError(
                f"the run began on other images ({state['num_images']} of them, now there are {num_images}): "
                "resume with the same ones, or start anew, lest it be judged by what it was trained on"
            )
        if state["num_taken"] < state["num_batches"] != num_batches:
            raise DataError(
                f"the run was stopped within an epoch of {state['num_batches']} steps, and so many processes "
                f"would make it {num_batches}: resume with as many as before"
            )
        self._resumed = {"epoch": state["epoch"], "num_taken": state["num_taken"]}

    def _identity(self) -> dict[str, int]:
        return {
            "num_images": self.sampler.num_images,
            "num_batches": len(self),
            "fingerprint": self.fingerprint,
        }

    def _gathered(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        if self.is_resident:
            return (self.images.index_select(0, indices.to(self.device)) for indices in batches)
        ahead = read_ahead(self._gather, batches, num_threads=self.config.machine.workers)
        return (images.to(self.device, non_blocking=True) for images in ahead)

    def _gather(self, indices: Tensor) -> Tensor:
        images = self.images.index_select(0, indices)
        return images.pin_memory() if self.device.type == "cuda" else images


class ValidationBatches:
    """Images in order and as they are, on the device, each in the batch of one process.

    Where there are fewer images than processes each takes all of them, which leaves every mean the same.

    Args:
        images: uint8 (N, C, H, W).
        batch_size: The most images of a batch.
        device: Where the batches are wanted.
        share: The process that they are for.
    """

    def __init__(self, images: Tensor, *, batch_size: int, device: torch.device, share: Share) -> None:
        if len(images) >= share.num_processes:
            images = images.tensor_split(share.num_processes)[share.rank]
        self.images = images.to(device) if _fits(images, device) else images
        self.batch_size = batch_size
        self.device = device

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Batches, uint8 (B, C, H, W)."""
        return (images.to(self.device) for images in self.images.split(self.batch_size))


def training_loader(
    splits: ImageSplits, *, config: Config, device: torch.device = CPU, share: Share = ALONE
) -> TrainingBatches:
    """Shuffled batches of the training images."""
    return TrainingBatches(splits.train, config=config, device=device, share=share)


def validation_loader(
    images: Tensor, *, config: Config, device: torch.device = CPU, share: Share = ALONE
) -> ValidationBatches:
    """Batches of `validation_images`, in order."""
    return ValidationBatches(images, batch_size=4 * config.optimizer.batch_size, device=device, share=share)


def validation_images(splits: ImageSplits, *, config: Config) -> Tensor:
    """uint8 (N, C, H, W): never flipped, and binarized once, by the seed."""
    if not config.data.binarize:
        return splits.validation
    return binarized(splits.validation, generator=torch.Generator().manual_seed(config.seed))


def drawn_anew(images: Tensor, *, flip: bool, binarize: bool, generator: torch.Generator) -> Tensor:
    """uint8 images (B, C, H, W), each mirrored left to right with probability 1/2, pixels made binary."""
    if flip:
        chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return binarized(images, generator=generator) if binarize else images


def binarized(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Pixels drawn as 0 or 255 with the grey value as probability of 255; uint8 in and out."""
    level = torch.rand(images.shape, generator=generator, device=images.device) * 255
    return (level < images).to(torch.uint8) * 255


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        return images.nbytes <= free_bytes // DEVICE_SHARE
    return images.nbytes <= MAX_MEMORY_BYTES
