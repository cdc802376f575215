"""Texts of the kernel, as it wrote them."""

# Verbatim, of Linux 6.18 on two cores (the line `intr` cut short).
STAT = """\
cpu  498333 290769 314655 1230940 8220 0 76461 1494 0 0
cpu0 239825 44302 82662 810166 3478 0 29205 737 0 0
cpu1 258507 246466 231993 420774 4742 0 47255 756 0 0
intr 283015226 0 0 0 0 0 4 0 0
ctxt 266030335
btime 1764000000
processes 25000
procs_running 3
procs_blocked 0
softirq 141011137 0 1012444 14384 131831579 980098 0 24 1161716 243 4436762
"""
SOFTIRQS = """\
                    CPU0       CPU1       
          HI:          0          0
       TIMER:     458589     534553
      NET_TX:       4883       9501
      NET_RX:   66368259   65463320
       BLOCK:          0     980098
"""  # noqa: W291 - as the kernel writes it.
PROXY = (
    "23498 (docker-proxy (x) y) S 23102 23102 23102 0 -1 1077936448 1500 0 0 0 17 42 0 0 20 0 7 0 1266215"
    " 1819594752 1024 18446744073709551615\n"
)
