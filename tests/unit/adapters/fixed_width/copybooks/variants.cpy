       01  VARIANTS.
           05  REC-TYPE            PIC X(2).
               88  IS-PERSON       VALUE 'PE'.
           05  PERSON.
               10  FIRST-NAME      PIC X(10).
               10  LAST-NAME       PIC X(14).
           05  COMPANY REDEFINES PERSON.
               10  COMPANY-NAME    PIC X(20).
               10  STAFF           PIC 9(7) COMP-3.
           05  MACHINE REDEFINES PERSON.
               10  SERIAL-NO       PIC 9(8) COMP.
               10  FILLER          PIC X(2).
               10  READINGS        PIC S9(3)V9 COMP-3 OCCURS 4.
           05  ENTRY OCCURS 2 TIMES.
               10  ENTRY-KIND      PIC 9.
               10  AS-TEXT         PIC X(4).
               10  AS-NUMBER REDEFINES AS-TEXT PIC S9(7) COMP-3.
