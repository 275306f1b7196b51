"""What we believe about Agora. Pure but for `client`, `exchange` and `budget`.

No I/O, no clock, no logger.

Sources (the fact sheet of the whole contract weighs them against each other):

- Cloud Recording RESTful API, the single-page reference of the 2023-2025 generation;
- Docs-Source, `shared/notification-center-service` and `cloud-recording`, as of 2026-07-01;
- the Chinese OpenAPI document of Cloud Recording (doc.shengwang.cn), as of 2026-06.

Values that the vendor may extend stay open: a string or number with known constants beside it,
never a closed enumeration. Unknown products, events and fields flow through.
"""
