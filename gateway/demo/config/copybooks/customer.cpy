       01  CUSTOMER.
           05  RETURN-CODE         PIC 9(2).
           05  CUSTOMER-ID         PIC 9(8).
           05  CUSTOMER-NAME       PIC X(24).
           05  CREDIT-LIMIT        PIC S9(7)V99 COMP-3.
           05  CONTRACT-COUNT      PIC 9(2).
           05  CONTRACT-ID         PIC X(8) OCCURS 0 TO 9 TIMES
                   DEPENDING ON CONTRACT-COUNT.
