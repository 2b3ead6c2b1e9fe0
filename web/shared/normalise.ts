// What two spellings of a name, number or address have in common, for searches on the phone. The server's rules, in
// server/core/normalise.py: full-width forms, invisible characters, spaces, dashes and middle dots make no difference.
const IGNORED = /[\s\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Pd}\u2800−⁃ー─'"`´‘’“”]/gu;
const MIDDLE_DOTS = /[.•‧∙⋅・･․。．｡﹒●∘◦⸱᛫ꞏ⦁]/gu;

export function makeSearchKey(text: string): string {
  return text.normalize('NFKC').replace(MIDDLE_DOTS, '·').replace(IGNORED, '').toLowerCase();
}
