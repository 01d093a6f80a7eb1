      * One order with every usual kind of field.
       01  ORDER-REC.
           05  ORDER-ID            PIC 9(9).
           05  CUSTOMER-ID         PIC X(10).
           05  CUSTOMER-NAME       PIC X(30).
           05  ORDER-DATE          PIC 9(8).
           05  STATUS-CODE         PIC X(2).
               88  IS-OPEN         VALUE 'OP'.
               88  IS-DONE         VALUE 'DN'.
               88  IS-ANY          VALUE 'OP' 'DN'.
           05  AMOUNT              PIC S9(7)V99 COMP-3.
           05  TAX                 PIC S9(5)V99 COMP-3.
           05  DISCOUNT            PIC S9(5)V99.
           05  QUANTITY            PIC S9(4) COMP.
           05  ITEM-COUNT          PIC 9(9) COMP.
           05  BIG-TOTAL           PIC S9(18) COMP.
           05  CURRENCY            PIC X(3).
           05  RATE                PIC 9(3)V9(6) COMP-3.
           05  SHIP-TO.
               10  STREET          PIC X(25).
               10  CITY            PIC X(20).
               10  ZIP             PIC 9(5).
               10  COUNTRY         PIC X(2).
           05  WEIGHT              PIC 9(5)V99.
           05  FLAGS               PIC X(4).
           05  BRANCH              PIC 9(4) COMP-3.
           05  AGENT               PIC X(8) JUSTIFIED RIGHT.
           05  REF-NUM             PIC 9(12).
           05  BALANCE             PIC S9(9)V99 SIGN LEADING SEPARATE.
           05  PRIORITY            PIC 9.
           05  COMMENTS            PIC X(9).
