       01  ALIGNED.
           05  A-FLAG              PIC X.
           05  A-HALF              PIC S9(4) COMP SYNC.
           05  A-FLAG-2            PIC X(5).
           05  A-GROUP.
               10  A-FULL          PIC S9(9) COMP SYNC.
               10  A-TAIL          PIC X.
           05  A-ROW OCCURS 3 TIMES.
               10  A-WORD          PIC 9(9) BINARY SYNCHRONIZED RIGHT.
               10  A-BYTE          PIC X.
           05  A-END               PIC X(3).
