"""Help that teaches by examples."""

DESCRIPTION = "Serve variational autoencoders over REST, and look into their checkpoints."
EXAMPLES = """\
examples:
  vae-service serve                                          the checkpoint that comes with it
  vae-service serve --checkpoint runs/sprites/model.pt       your own
  vae-service inspect runs/sprites/model.pt                  what is in it
  vae-service adopt vae.pt --to model.pt                     a TorchScript VAE that something else exported
  vae-service COMMAND --help                                 flags and more examples

`python -m service` is the same. For completion of commands, flags and files in a shell:
  eval "$(vae-service --print-completion bash)"

exit status: 0 done; 2 no such command or flag; 3 what was asked for cannot be done, and one line says why;
70 the device was lost; 130 Ctrl-C
"""
SERVE_EXAMPLES = """\
examples:
  vae-service serve                                          on http://127.0.0.1:8000
  vae-service serve --checkpoint models/ --port 8001         every *.pt of a folder, each by its name
  vae-service serve --device cuda:1 --precision float16      a certain GPU, a certain arithmetic
  vae-service serve --host 0.0.0.0 --api-keys-file keys.txt  for others, who must bring a key
  VAE_MAX_IMAGES=16 vae-service serve                        any flag as a variable; the flag wins

then:
  curl -s localhost:8000/sample -d '{"n":16}' -H 'content-type: application/json' \\
      -H 'accept: image/png' -o samples.png
"""
INSPECT_EXAMPLES = """\
examples:
  vae-service inspect model.pt                               JSON: shapes, provenance, quality, operators
  vae-service inspect model.pt | jq .quality
  vae-service inspect vae.pt                                 what another TorchScript file lacks
"""
ADOPT_EXAMPLES = """\
examples:
  vae-service adopt vae.pt --to model.pt                     all that can be found out is found out
  vae-service adopt vae.pt --to model.pt --image-shape 1 28 28
  vae-service adopt vae.pt --to model.pt --pixel-range -1 1 --crop none --name faces
  vae-service adopt vae.pt --to model.pt --likelihood gaussian --likelihood-scale 0.1

The file must have been saved by torch.jit.script or torch.jit.trace_module, with eval() before, and have
  encode(images: float (B, C, H, W) or (B, C*H*W)) -> [mu, log_var], a list or a tuple
  decode(z: float (B, D)) -> float images of the same size
It is checked as any checkpoint is before anything of it runs; then it is run on zeros and noise.
"""
OPENAPI_EXAMPLES = """\
examples:
  vae-service openapi --output openapi.json                  with the limits and shapes of this configuration
  vae-service openapi --checkpoint model.pt | jq .paths
"""
