       01  MOVEMENT.
           05  ACCOUNT-ID          PIC 9(8).
           05  AMOUNT              PIC S9(9)V99 COMP-3.
           05  PURPOSE             PIC X(20).
