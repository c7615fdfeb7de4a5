"""Jobs and units: who does what, which samples are drawn, what a finding means. Decides, never computes."""
