"""The kernel's packet filter, two ways: a table of our own, or sets that the operator made for us.

`table` owns `inet agora_sidecar` and filters one port in it; `sets` fills two sets of the
operator's. `script` writes transactions and `listing` understands what `nft` prints (both pure);
`program` runs `nft` and listens to it; `knocking` reads over netlink who was not listed;
`preflight` looks at everybody's rules for what would make ours useless or harmful (pure).
"""
