       01  PLAIN-RECORD.
           05  RECORD-TYPE         PIC X(2).
           05  ACCOUNT-NUMBER      PIC 9(10).
           05  FAMILY-NAME         PIC X(24).
           05  GIVEN-NAME          PIC X(16).
           05  TITLE-CODE          PIC X(4).
           05  BIRTH-DATE          PIC 9(8).
           05  STREET              PIC X(24).
           05  TOWN                PIC X(18).
           05  POSTCODE            PIC X(8).
           05  COUNTRY             PIC X(2).
           05  BALANCE             PIC S9(11)V99 COMP-3.
           05  OVERDRAFT           PIC S9(7)V99 COMP-3.
           05  INTEREST            PIC S9(3)V9(4) COMP-3.
           05  BRANCH              PIC 9(4).
           05  OPENED              PIC 9(8).
           05  TRANSACTIONS        PIC S9(9) COMP-3.
           05  LAST-TRANSACTION    PIC S9(15) COMP-3.
           05  MONTHLY-FEE         PIC S9(5)V99 COMP-3.
           05  CREDIT-LIMIT        PIC S9(7)V99 COMP-3.
           05  RISK-CLASS          PIC 9(2).
           05  STATUS-FLAG         PIC X.
           05  CURRENCY-CODE       PIC X(3).
           05  COUNTER             PIC 9(6).
           05  REMARK              PIC X(18).
           05  CHECK-DIGITS        PIC 9(4).
