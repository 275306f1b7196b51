"""`agora-sidecar demo`: the whole job on one machine, with no account and no installed server.

`namespace` gets a private network where the kernel allows it; `stage` starts the store, the
emulator, the receiver and the scheduler as they are deployed; `business` is the business server
that starts and stops recordings; `stranger` knocks; `scene` watches what comes of it; `view`
shows it; `verdict` compares what was acknowledged with what is on the stream (pure);
`performance` joins them; `command` is the command line's part.
"""
