"""One file per command of `sfx`; `toolchain/app/cli.py` registers them."""
