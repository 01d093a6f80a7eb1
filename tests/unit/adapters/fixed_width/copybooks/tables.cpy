       01  TABLES.
           05  KIND                PIC X.
           05  LINE-COUNT          PIC 9(2).
           05  HEADINGS            PIC X(4) OCCURS 3 TIMES.
           05  ORDER-LINE OCCURS 0 TO 5 TIMES DEPENDING ON LINE-COUNT
                   INDEXED BY LINE-IX.
               10  SKU             PIC X(6).
               10  PART-COUNT      PIC S9(4) COMP.
               10  PART OCCURS 1 TO 3 TIMES DEPENDING ON PART-COUNT.
                   15  PART-NO     PIC 9(4) COMP-3.
                   15  PART-NAME   PIC X(3).
           05  FILLER              PIC X(2) VALUE 'ZZ'.
           05  TRAILER.
               10  CHECK-SUM       PIC 9(5).
               10  MATRIX-ROW OCCURS 2.
                   15  CELL        PIC S9(3) COMP-3 OCCURS 2.
