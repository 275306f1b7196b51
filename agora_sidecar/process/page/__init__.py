"""The status page on the ops port: who shows what, its document, its live events.

Knows no Agora: each process brings a panel, a script that draws what that process tells of itself.
Read-only by construction: nothing here takes anything but GET.
"""
