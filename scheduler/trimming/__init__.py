"""Keeps the streams from growing for ever, and never loses what somebody still needs.

By age and by count, whole nodes of the store only, never past the first entry that our own group,
or one that the operator protects, is not done with. Where that keeps a stream above its limits,
the trimmer says who holds it and what to do; it does not trim. `verdict` judges, `script` trims,
`trimmer` is the job.
"""
