       01  NUMBERS.
           05  Z-PLAIN             PIC 9(3).
           05  Z-ONE               PIC S9.
           05  Z-TRAILING          PIC S9(6)V9(3).
           05  Z-LEADING           PIC S9(4) SIGN IS LEADING.
           05  Z-LEAD-SEP  PIC S9(4)V9 LEADING SEPARATE.
           05  Z-TRAIL-SEP         PIC S9(4) TRAILING SEPARATE.
           05  Z-BLANK             PIC 9(4) BLANK WHEN ZERO.
           05  Z-LONG              PIC S9(31).
           05  Z-LONG-FRACTION     PIC S9(9)V9(9).
           05  Z-SCALED-UP         PIC 9(3)PPP.
           05  Z-SCALED-DOWN       PIC SVPP9(3).
           05  P-ODD               PIC S9(5)V99 PACKED-DECIMAL.
           05  P-EVEN              PIC S9(6) COMP-3.
           05  P-UNSIGNED          PIC 9(7) COMP-3.
           05  P-LONG              PIC S9(20)V9(11) COMP-3.
           05  B-2                 PIC S9(4) COMP.
           05  B-4                 PIC 9(9) BINARY.
           05  B-8                 PIC S9(15)V9(3) COMP-4.
           05  N-2                 PIC S9(4) COMP-5.
           05  N-4                 PIC 9(9) COMP-5.
           05  N-8                 PIC S9(18) COMP-5.
           05  E-PLAIN             PIC ZZ,ZZ9.99-.
           05  E-FLOAT             PIC $$,$$9.99.
           05  E-STARS             PIC **,**9.99CR.
           05  E-ZERO              PIC ZZ9 BLANK WHEN ZERO.
           05  E-SLASH             PIC 99/99/9999.
           05  NAT-NUM             PIC S9(5) NATIONAL TRAILING SEPARATE.
