// What each key does, as the help lists it.
import type { Message } from '@shared/i18n.ts';

export const SHORTCUT_HELP: readonly (readonly [keys: readonly string[], what: Message])[] = [
  [
    ['g', 'q'],
    ['去审核队列', 'Go to the queue'],
  ],
  [
    ['g', 'o'],
    ['去总览', 'Go to the overview'],
  ],
  [
    ['g', 'h'],
    ['去家庭', 'Go to households'],
  ],
  [
    ['g', 'c'],
    ['去案件', 'Go to cases'],
  ],
  [
    ['j', 'k'],
    ['在表格中上下移动，回车打开', 'Move between rows; Enter opens'],
  ],
  [['/'], ['搜索（家庭、人员、规则）', 'Search (households, staff, rules)']],
  [['n'], ['领取下一件（队列里，或决定之后）', 'Claim the next (in the queue, or after a decision)']],
  [['c'], ['领取这一件（审核页）', 'Claim this one (on a visit)']],
  [
    ['j', 'k', 'y', 'x'],
    ['疑点：上下移动，属实，排除', 'Findings: move, uphold, dismiss'],
  ],
  [
    ['←', '→', 'f'],
    ['照片：上一张，下一张，放大', 'Photos: before, after, enlarge'],
  ],
  [
    ['a', 'r', 's', 'e'],
    ['通过、退回、转抽查、上报', 'Accept, return, spot check, escalate'],
  ],
  [['z'], ['撤销刚才的决定', 'Undo the decision']],
  [
    ['Ctrl', 'Enter'],
    ['在对话框里提交', 'Submit a dialog'],
  ],
  [['Esc'], ['关闭对话框或放大的照片', 'Close a dialog or the enlarged photo']],
  [['?'], ['显示快捷键', 'Show the keys']],
];
