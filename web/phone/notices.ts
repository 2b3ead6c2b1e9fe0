// The caseworker's notices, shown on the tab bar and the profile screen; loaded with each sync.
import { openNotices } from '@shared/notices.ts';

export const notices = openNotices('field');
