"""Lock benchmarks: how long from kaggle-env.toml to a lock, beside pip-compile and uv."""
