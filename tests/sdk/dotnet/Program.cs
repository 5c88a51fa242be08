using System;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

namespace Hubbub.Sdk;

/// <summary>Runs each public method of <see cref="ClientTest"/>, or those that are named, against one server.</summary>
static class Program
{
    // What .NET sets it keeps to itself; this is read by its native part.
    [DllImport("libc", EntryPoint = "setenv")]
    static extern int SetVariable(string name, string value, int overwrite);

    static async Task<int> Main(string[] names)
    {
        var failed = 0;
        await using (var server = await Server.Start())
        {
            // Read by the runtime when it opens its first TLS connection.
            SetVariable("SSL_CERT_FILE", server.CertificateAuthority, overwrite: 1);
            var tests = typeof(ClientTest).GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly);
            foreach (var test in tests.Where(test => names.Length == 0 || names.Contains(test.Name)))
            {
                var clock = Stopwatch.StartNew();
                try
                {
                    await (Task)test.Invoke(new ClientTest(server), null)!;
                    Console.WriteLine($"ok      {test.Name} ({clock.ElapsedMilliseconds} ms)");
                }
                catch (Exception error)
                {
                    failed++;
                    Console.WriteLine($"FAILED  {test.Name} ({clock.ElapsedMilliseconds} ms)\n{error}");
                }
            }
        }
        Console.WriteLine(failed == 0 ? "all passed" : $"{failed} failed");
        return failed == 0 ? 0 : 1;
    }
}
