       01  ACCOUNT.
           05  RETURN-CODE         PIC 9(2).
           05  ACCOUNT-ID          PIC 9(8).
           05  BALANCE             PIC S9(9)V99 COMP-3.
