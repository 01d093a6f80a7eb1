       01  INQUIRY.
           05  REQUEST-TYPE        PIC X(4) VALUE 'BAL1'.
           05  ACCOUNT-ID          PIC 9(8).
