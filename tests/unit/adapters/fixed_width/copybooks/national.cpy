       01  NATIONAL-REC.
           05  N-NAME              PIC N(6).
           05  N-RIGHT             PIC N(4) USAGE NATIONAL JUST RIGHT.
           05  MIXED               PIC X(14).
           05  DOUBLE-NAME         PIC G(5) USAGE DISPLAY-1.
           05  N-CODE              PIC 9(4).
