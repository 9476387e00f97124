"""What is known of a checkpoint file before any of it runs.

A TorchScript file is code, and reading it runs some. In this order, each on what the one before let through:

    archive     the zip: bounded sizes, right checksums, plain names; PyTorch gets a copy of the checked parts
    arrays      the golden values: no larger than their bytes
    sources     the code, parsed: nothing that would run while the file is read
    pickles     the object tree: plain values, tensors inside their storage, objects of known classes
    program     the compiled code of every method: tensor arithmetic only, by the list in operators

It is defence in depth and no sandbox. It keeps a file from reading, writing, printing or calling Python, by
all that is known of PyTorch; it cannot keep it from running for ever, from asking for all memory, or from a
flaw inside an operator. Who must be sure pins the sha256 of a file that they trust.
"""
