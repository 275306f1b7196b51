"""`python -m agora_sidecar`: the command line without its console script."""

from agora_sidecar.cli import main

main()
