       01  INQUIRY.
           05  REQUEST-TYPE        PIC X(4) VALUE 'INQ1'.
           05  CUSTOMER-ID         PIC 9(8).
           05  CHANNEL             PIC X(3).
           05  FILLER              PIC X(5).
