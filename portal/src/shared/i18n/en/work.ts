// Messages of the portal.

export const work = {
  app: 'BioLayer Work',
  signIn: {
    title: 'Sign in',
    fromLink: 'You opened a sign-in link. It works once.',
    button: 'Sign in to BioLayer',
    withToken: 'Sign in with your worker token, or open the sign-in link that your team has sent you.',
    token: 'Worker token',
    tokenHint: 'Starts with blw_',
    invalidLink: 'This link has been used or has expired. Ask your team for a new one.',
    invalidToken: 'This token is not valid. Check that you have copied all of it.',
    noToken: 'Enter your worker token.',
  },
  nav: { desk: 'My work', history: 'History', settings: 'Settings' },
};
