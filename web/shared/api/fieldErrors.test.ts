import { expect, test, vi } from 'vitest';

vi.stubGlobal('localStorage', { getItem: () => null });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { describeFieldError } = await import('./fieldErrors.ts');
const { Problem } = await import('./problems.ts');

test('a refused field is described with its label and its reason', () => {
  const describe = (pointer: string, code: string, detail: string): string =>
    describeFieldError({ pointer, code, detail });
  expect(describe('/members/1/idNumber', 'id.check_digit', '1101**********0021')).toBe(
    '家庭成员 第 2 项 身份证号：最后一位对不上，请核对',
  );
  expect(describe('/text', 'field.invalid', 'Expected `str` of length <= 2000')).toBe('内容：最多 2000 个字');
  expect(describe('/text', 'field.invalid', 'Expected `str` of length >= 2')).toBe('内容：至少 2 个字');
  expect(describe('/data', 'field.invalid', 'Object missing required field `name`')).toBe('姓名：没有填写');
  expect(describe('/amountFen', 'field.invalid', 'Expected `int` >= 0')).toBe('金额：不能小于 0');
  expect(describe('/pin', 'field.invalid', "Expected `str` matching regex '^[0-9]{3}[0-9X]$'")).toBe(
    '查询码：格式不对',
  );
  expect(describe('/answers/opinion', 'answer.required', '“理由和建议”必填')).toContain('“理由和建议”必填');
  expect(describe('/areaCode', 'area.unknown', '339999')).toBe('地区：没有这个地区');
  expect(describe('/x', 'strange.code', '42')).toBe('“x”：填写不正确'); // internal details are not shown
});

test('a problem lists every refused field', () => {
  const errors = [
    { pointer: '/name', code: 'field.invalid', detail: 'Expected `str` of length >= 1' },
    { pointer: '/phone', code: 'field.invalid', detail: 'Expected `str` of length <= 40' },
  ];
  const problem = new Problem(400, { title: '请求内容有误', detail: '请按所列位置修改。', errors });
  expect(problem.sentence).toBe('请求内容有误 请按所列位置修改。 姓名：至少 1 个字；电话：最多 40 个字');
  expect(new Problem(409, { title: '已有人处理' }).sentence).toBe('已有人处理');
});
