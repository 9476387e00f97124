"""How an image compares with the data that a checkpoint learnt from: its bound, and how strange it is.

Export measures the validation images with these functions (distribution.score_distribution), and the service
what it is sent, so that the two cannot drift.

The bound, ELBO = -distortion - rate, is no measure of strangeness: plain pictures, which any decoder can
draw, have a high one wherever they come from (Nalisnick et al. 2019, arXiv 1810.09136). So the anomaly score
asks of an image only what its plainness does not answer (compare Serra et al. 2020, arXiv 1909.11480): how
unlikely its latent is under the prior, and what share of its contrast and of its texture the decoder failed
to draw. Each figure counts by its tail probability among the validation images, in nats, and the three are
added (Fisher 1932): an image of the data has 3 on average, and each nat more is e times as rare.
"""
