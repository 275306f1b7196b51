"""The shell every process wears: settings, logs, the ops port, clocks. Knows nothing of Agora."""
