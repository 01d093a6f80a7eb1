       01  CUSTOMER.
           05  RETURN-CODE         PIC 9(2).
           05  CUSTOMER-ID         PIC 9(8).
           05  CUSTOMER-TYPE       PIC X.
           05  PERSON.
               10  FIRST-NAME      PIC X(10).
               10  LAST-NAME       PIC X(15).
           05  COMPANY REDEFINES PERSON.
               10  COMPANY-NAME    PIC X(25).
           05  CREDIT-LIMIT        PIC S9(9)V99 COMP-3.
           05  ORDER-COUNT         PIC 9(2).
           05  ORDER-ID            PIC 9(6) OCCURS 0 TO 9 TIMES
                   DEPENDING ON ORDER-COUNT.
