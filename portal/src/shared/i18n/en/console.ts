// Messages of the console's frame: sign-in and navigation.

export const consoleApp = {
  app: 'BioLayer',
  signIn: {
    title: 'Sign in to the console',
    fromLink: 'You opened a sign-in link. It works once.',
    button: 'Sign in',
    withPassword: 'Sign in with your e-mail address and password.',
    toPassword: 'Continue to sign in',
    invalidLink: 'This link has been used or has expired.',
  },
  nav: { overview: 'Overview' },
  signedInAs: (email: string, org: string) => `${email}, ${org}`,
};
